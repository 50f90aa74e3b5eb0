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
import signal
import sys
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

_logs: dict[int, str] = {}
"""By process id, where the log of each child is that lives."""


def main() -> None:
    for module in LAZY:
        importlib.import_module(module)
    # A collection in a child would copy every page that it shares.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, lambda *_: _bury())
    print("ready", flush=True)
    for line in sys.stdin:
        wish = json.loads(line)
        # Who ends at once must not be buried before it has a name.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            _be_daemon(wish)
        _logs[pid] = wish["log"]
        _exit_file(pid).unlink(missing_ok=True)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        print(pid, flush=True)


def _bury() -> None:
    while _logs:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        file = _exit_file(pid)
        del _logs[pid]
        if file.parent.is_dir():
            fresh = file.with_suffix(".new")
            fresh.write_text(str(os.waitstatus_to_exitcode(status)))
            fresh.replace(file)


def _exit_file(pid: int) -> Path:
    return Path(f"{_logs[pid]}.{pid}.exit")


def _be_daemon(wish: dict[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
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
