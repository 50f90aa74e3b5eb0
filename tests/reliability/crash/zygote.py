"""Daemons by fork: the imports are paid once, and each daemon is still a process of its own.

`python zygote.py` reads one JSON document a line, `{root, log, variables}`, forks, and answers
the child's process id. The child is `amodal-rt up` on that folder, with those variables as its
whole environment; it writes its exit status to `LOG.exit`, which a killed one does not.
"""

import ctypes
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


def main() -> None:
    for module in LAZY:
        importlib.import_module(module)
    # Nobody asks how a child ended: the kernel may forget it at once.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        wish = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _be_daemon(wish)
        print(pid, flush=True)


def _be_daemon(wish: dict[str, Any]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
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
    finally:
        Path(f"{wish['log']}.exit").write_text(str(status))
        os._exit(status)


if __name__ == "__main__":
    main()
