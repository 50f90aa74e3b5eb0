"""A wall clock that was ahead and is set right: what it wrote must hold nothing up."""

from collections.abc import Sequence
from datetime import timedelta

from amodal_rt.clock import AHEAD, Clock
from amodal_rt.errors import AmodalError
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import OUTBOX, RUNS_PENDING, Signals, WaitLedger

LOOK_SECONDS = 5.0
"""How often the two clocks are compared."""

_log = Log("daemon")


class TurnedBack:
    """Notices that the wall clock went back against the one that only counts, by more than a
    minute, and has what waits for an instant of the former time wait no longer than it was to.

    At its start it cannot have seen that: then what the ledger proves counts.
    """

    def __init__(
        self,
        *,
        ledger: WaitLedger,
        signals: Signals,
        clock: Clock,
        pauses: Sequence[timedelta],
        kept: timedelta,
    ) -> None:
        self._ledger = ledger
        self._signals = signals
        self._clock = clock
        self._pauses = pauses
        self._kept = kept
        self._postponed = Spell(_log, clock, event="clock.postponed", over="clock.resumed")

    async def run(self) -> None:
        """Until cancelled. A ledger that is away is asked again."""
        known, owed, seen = self._apart(), True, False
        while True:
            if owed:
                owed = not await self._shorten(seen=seen)
                seen = seen and owed
            await self._clock.sleep(LOOK_SECONDS)
            apart = self._apart()
            if known - apart > AHEAD / timedelta(seconds=1):
                _log.warning("clock.set_back", seconds=round(known - apart))
                owed = seen = True
            known = apart

    def _apart(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()

    async def _shorten(self, *, seen: bool) -> bool:
        try:
            sooner = await self._ledger.shorten_waits(
                now=self._clock.now(), pauses=self._pauses, kept=self._kept, seen=seen
            )
        except AmodalError as error:
            self._postponed.failed(code=error.code, error=error.message)
            return False
        self._postponed.ended()
        if sooner:
            _log.warning("clock.waits_shortened", sooner=sooner)
            self._signals.notify(RUNS_PENDING)
            self._signals.notify(OUTBOX)
        return True
