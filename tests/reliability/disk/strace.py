"""System calls of a running process that fail, or are its last: by strace, from outside."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lives import PATIENCE


@dataclass(frozen=True)
class Point:
    """The `nth` call of one kind in each thread: `KILL`, or an error with which it fails.

    `onward` fails all that follow as well.
    """

    call: str
    nth: int
    fault: str
    onward: bool = False

    @property
    def words(self) -> list[str]:
        """For strace's command line."""
        what = "signal=KILL" if self.fault == "KILL" else f"error={self.fault}"
        when = f"{self.nth}{'+' if self.onward else ''}"
        return ["-e", f"trace={self.call}", "-e", f"inject={self.call}:{what}:when={when}"]

    def __str__(self) -> str:
        return f"{self.call} {self.nth}{'+' if self.onward else ''} {self.fault}"


@contextmanager
def attached(pid: int, words: list[str], out: Path) -> Iterator[None]:
    """Strace on every thread of a process for as long as the block lasts."""
    tracer = subprocess.Popen(
        ["strace", "-f", "-o", str(out), *words, "-p", str(pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    assert tracer.stderr is not None
    reader = threading.Thread(target=said.extend, args=(tracer.stderr,), daemon=True)
    reader.start()
    try:
        until = time.monotonic() + PATIENCE
        while not any("attached" in line for line in said):
            assert tracer.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.005)
        yield
    finally:
        tracer.terminate()
        try:
            tracer.wait(0.5)
        except subprocess.TimeoutExpired:
            # It waits for threads of a process that it has killed itself.
            tracer.kill()
            tracer.wait(PATIENCE)
        reader.join(PATIENCE)
        tracer.stderr.close()


def fired(out: Path) -> int:
    """How often the fault was dealt."""
    text = out.read_text("utf-8", "replace") if out.exists() else ""
    return text.count("(INJECTED)") + text.count("+++ killed by SIGKILL +++")
