"""Watches from a thread that the event loop turns: one blocking call stops every webhook.

A loop that stands still is first written about, with the line at which it stands, and ends the
process when it does not come back: a supervisor starts it again, and the ledger says what was
under way. Code that holds the interpreter's lock stops this thread too; `WatchdogSec=` of
systemd sees that one.
"""

import faulthandler
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import cast

from amodal_rt.clock import Clock
from amodal_rt.logs import Log

LAG_SECONDS = 1.0
"""From this long on, a standstill is logged."""
DEAD_SECONDS = 30.0
"""After this long it ends the process."""
BEAT_SECONDS = 0.25
EXIT_CODE = 70
"""Of a process that ended itself for it: EX_SOFTWARE of sysexits.h."""

_FRAMES = 12
_SAY_SECONDS = 2.0
_log = Log("daemon")


class Watchdog:
    """Counts for how long the event loop has not turned.

    Only time in which this process ran counts: one that was stopped or whose machine slept
    finds its loop as it left it. `end` is called once, from the thread.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        dead: float = DEAD_SECONDS,
        end: Callable[[], None] | None = None,
    ) -> None:
        self._clock = clock
        self._dead = dead
        self._end = end or _end_process
        self._beats = 0
        self._thread_id = threading.get_ident()
        self._over = threading.Event()

    async def beat(self) -> None:
        """Prove that the loop turns, until cancelled."""
        while True:
            self._beats += 1
            await self._clock.sleep(BEAT_SECONDS)

    @contextmanager
    def watching(self) -> Generator[None, None, None]:
        """Watch for as long as the block lasts. Enter it in the loop's own thread."""
        self._thread_id = threading.get_ident()
        thread = threading.Thread(target=self._watch, name="loop watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join(_SAY_SECONDS)

    def _watch(self) -> None:
        seen, still, told = self._beats, 0.0, False
        before = self._clock.monotonic()
        while not self._over.wait(BEAT_SECONDS):
            now = self._clock.monotonic()
            # A longer gap is one in which this thread stood still as well.
            passed, before = min(now - before, 2 * BEAT_SECONDS), now
            if self._beats != seen:
                if told:
                    _say(
                        lambda took=still: _log.warning("daemon.loop_freed", seconds=_tenths(took))
                    )
                seen, still, told = self._beats, 0.0, False
                continue
            still += passed
            if still > LAG_SECONDS + BEAT_SECONDS and not told:
                told = True
                self._tell(still)
            if still > self._dead:
                self._give_up(still)
                return

    def _tell(self, still: float) -> None:
        place = standing(self._thread_id)
        _say(lambda: _log.warning("daemon.loop_blocked", seconds=_tenths(still), at=place))

    def _give_up(self, still: float) -> None:
        place = standing(self._thread_id)
        _say(lambda: _log.error("daemon.loop_dead", seconds=_tenths(still), at=place))
        _say(lambda: faulthandler.dump_traceback(file=sys.stderr, all_threads=True))
        self._end()


def standing(thread_id: int) -> str:
    """Where a thread stands, the innermost call first: files, lines and functions, no values."""
    # The only way to look at another thread.
    frames = cast("Callable[[], dict[int, FrameType]]", getattr(sys, "_current_frames"))  # noqa: B009
    frame = frames().get(thread_id)
    stack = traceback.extract_stack(frame)[-_FRAMES:] if frame else []
    calls = (f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in reversed(stack))
    return " < ".join(calls)


def child_processes() -> list[int]:
    """The processes that this one started and that live; empty where the system does not say."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            with suppress(OSError):
                found += map(int, (task / "children").read_text("ascii").split())
    return found


def _end_process() -> None:
    # What we started stands in sessions of its own and would outlive us.
    for pid in child_processes():
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    # Nothing is tidied up: whatever would do it may be what hangs.
    os._exit(EXIT_CODE)


def _say(what: Callable[[], None]) -> None:
    """Say it, but do not wait for ever: a full pipe may be what blocks the loop."""
    speaker = threading.Thread(target=what, daemon=True)
    speaker.start()
    speaker.join(_SAY_SECONDS)


def _tenths(seconds: float) -> float:
    return round(seconds, 1)
