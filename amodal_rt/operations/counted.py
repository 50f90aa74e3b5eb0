"""What happened in this process, counted since it began."""

from collections import Counter, deque
from collections.abc import Iterable
from datetime import timedelta

from amodal_rt.clock import Clock
from amodal_rt.domain.outcome import AWAITING_APPROVAL, QUIET
from amodal_rt.domain.run import FailedReason, RunStatus, SkippedReason
from amodal_rt.ports import RunRef

REASONS = frozenset({*FailedReason, *SkippedReason, QUIET, AWAITING_APPROVAL})
LOOK_SECONDS = 1.0
_LOOKS = 60


class Counted:
    """Costs an addition each: what acknowledges events counts here too."""

    def __init__(self) -> None:
        self.runs: Counter[tuple[str, str]] = Counter()
        """Runs that ended, by status and reason (one of `REASONS`, or empty)."""
        self.carried = 0
        self.carried_seconds = 0.0
        self.events: Counter[str] = Counter()
        """Events that were `accepted`, `duplicate` or `refused`."""
        self.attempts: Counter[str] = Counter()
        """Tries to deliver a message, by their result."""

    def note_unstarted(self, refs: Iterable[RunRef]) -> None:
        """Of these runs, those that were skipped or cancelled will never start."""
        for each in refs:
            if each.status in (RunStatus.SKIPPED, RunStatus.CANCELLED):
                self._ended(each.status, each.reason)

    def note_finished(self, status: RunStatus, reason: str | None, took: timedelta) -> None:
        """A run that was carried has ended."""
        self._ended(status, reason)
        self.carried += 1
        self.carried_seconds += took.total_seconds()

    def _ended(self, status: RunStatus, reason: str | None) -> None:
        # A reason of any other words would be a series of its own for each of them.
        self.runs[status.value, str(reason) if reason in REASONS else ""] += 1


class LoopLag:
    """How late the event loop comes round, looked at once a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: deque[float] = deque(maxlen=_LOOKS)

    @property
    def worst(self) -> float:
        """Seconds: the longest delay of the last minute."""
        return max(self._seen, default=0.0)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            before = self._clock.monotonic()
            await self._clock.sleep(LOOK_SECONDS)
            self._seen.append(max(self._clock.monotonic() - before - LOOK_SECONDS, 0.0))
