"""Daemons by fork: the imports are paid once, and each daemon is still a process of its own.

`python zygote.py` reads one JSON document a line, `{root, log, variables, listen}`, forks, and
answers the child's process id. The child is `amodal-rt up` on that folder, with those variables
as its whole environment. When it has ended, its exit status stands in `LOG.PID.exit`, negative
where a signal killed it.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amodal_rt import failpoints
from amodal_rt.daemon.lifecycle import run_up
from amodal_rt.errors import AmodalError

LAZY = (
    "alembic.command",
    "amodal_rt.executors.agent.loop",
    "amodal_rt.executors.acting.mcp_server",
    "amodal_rt.executors.agent.models",
    "liquid",
    "pydantic_ai.models.openai",
    "pydantic_ai.providers.openai",
    "watchfiles",
)
"""What the daemon imports on first use only."""

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Child:
    """One that lives, or whose end is not written down yet."""

    pid: int
    log: Path

    @property
    def exit_file(self) -> Path:
        return self.log.with_name(f"{self.log.name}.{self.pid}.exit")


def main() -> None:
    for module in LAZY:
        importlib.import_module(module)
    # A collection in a child would copy every page that it shares.
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    children: dict[int, Child] = {}
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    # A handler of SIGCHLD could be called within itself, and bury one child twice.
    while True:
        for handle, _ in poll.poll():
            if handle in children:
                poll.unregister(handle)
                os.close(handle)
                _bury(children.pop(handle))
                continue
            line = sys.stdin.readline()
            if not line:
                return
            child = _fork(json.loads(line), children)
            handle = os.pidfd_open(child.pid)
            children[handle] = child
            poll.register(handle, select.POLLIN)
            print(child.pid, flush=True)


def _fork(wish: dict[str, Any], living: Iterable[int]) -> Child:
    pid = os.fork()
    if pid == 0:
        for handle in living:
            os.close(handle)
        _be_daemon(wish)
    child = Child(pid, Path(wish["log"]))
    child.exit_file.unlink(missing_ok=True)
    return child


def _bury(child: Child) -> None:
    _, status = os.waitpid(child.pid, 0)
    fresh = child.exit_file.with_suffix(".new")
    # Who does not care how it ended may have taken its folder away.
    with suppress(FileNotFoundError):
        fresh.write_text(str(os.waitstatus_to_exitcode(status)))
        fresh.replace(child.exit_file)


def _be_daemon(wish: dict[str, Any]) -> None:
    os.setsid()
    # No daemon outlives the suite that wanted it, however the suite ends.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    log = os.open(wish["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.clear()
    os.environ.update(wish["variables"])
    # Read when the module was imported, which was before the fork.
    failpoints._armed = failpoints._from_environment()
    status = 70
    try:
        status = run_up(
            Path(wish["root"]), listen=wish["listen"], say=lambda line: print(line, flush=True)
        )
    except AmodalError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr, flush=True)
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
