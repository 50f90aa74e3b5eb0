"""Daemons that are born quickly and die in every way."""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

PATIENCE = 60.0
"""Seconds; only a broken daemon takes them."""
_ROOT = Path(__file__).parents[2]
"""Where daemons are born: a test may stand in a folder that goes."""
_UP = """
import pathlib, sys
from amodal_rt.daemon.lifecycle import run_up
sys.exit(run_up(pathlib.Path(sys.argv[1]), listen=sys.argv[2] or None,
                say=lambda line: print(line, flush=True)))
"""


class Life:
    """One process, from its birth to its end."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self.log = log
        self._exit = Path(f"{log}.{pid}.exit")
        try:
            self._handle: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._handle = None

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self._over(0)

    def send(self, number: signal.Signals) -> None:
        """A signal, to this process and no other that may bear its number later."""
        if self._handle is not None:
            try:
                signal.pidfd_send_signal(self._handle, number)
            except ProcessLookupError:
                return

    def end(self) -> int:
        """SIGTERM, and the exit status."""
        self.send(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, and the end. Nothing is written into its folder afterwards."""
        if self._handle is not None:
            self.send(signal.SIGKILL)
            self.wait()

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit status, negative where a signal killed it. Fails when it lives on."""
        self._await_end(seconds)
        until = time.monotonic() + PATIENCE
        while not self._exit.exists():
            assert time.monotonic() < until, "nobody says how it ended"
            time.sleep(0.001)
        return int(self._exit.read_text())

    def output(self) -> str:
        """All that it has said."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def _await_end(self, seconds: float) -> None:
        assert self._over(seconds), f"still alive after {seconds:g} s:\n{self.output()}"
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _over(self, seconds: float) -> bool:
        if self._handle is None:
            return True
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))


class Executed(Life):
    """A daemon that pays for its imports. What the loader reads, a fork would come too late for."""

    def __init__(
        self, root: Path, log: Path, variables: Mapping[str, str], listen: str | None
    ) -> None:
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _UP, str(root), listen or ""],
                env=dict(variables), stdout=out, stderr=out,
            )  # fmt: skip
        super().__init__(self._process.pid, log)

    def wait(self, seconds: float = PATIENCE) -> int:
        self._await_end(seconds)
        return self._process.wait()


class Zygote:
    """Forks daemons. May be asked by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT,
        )  # fmt: skip
        assert self._line() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        # Popen's own end of a context closes both pipes, also of a process that has died.
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()

    def bear(self, root: Path, log: Path, variables: Mapping[str, str], listen: str | None) -> Life:
        """A daemon that serves `root`, with `variables` as its whole environment."""
        wish = {
            "root": str(root), "log": str(log), "variables": dict(variables), "listen": listen
        }  # fmt: skip
        with self._lock:
            assert self._process is not None
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(wish) + "\n")
            self._process.stdin.flush()
            return Life(int(self._line()), log)

    def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@cache
def zygote() -> Zygote:
    """One for all who ask in this process, until it ends."""
    made = Zygote()
    made.__enter__()
    atexit.register(made.__exit__)
    return made


def read_json(path: Path) -> Any:
    """A document, or None while there is none."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
