"""Requests that a full queue refused, told of where other refusals are."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime

from amodal_rt.clock import Clock, iso
from amodal_rt.domain.event import Event, Rejection
from amodal_rt.errors import AmodalError
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import EventLedger

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
"""Seconds between two commits while requests are refused: twice as long each time. What was
refused since the last one is lost with a process that is killed."""
ROW_SECONDS = 60.0
"""After that long a row is told no more of, and the next refusal begins another."""
REASON = "queue_full"

_log = Log("events")


@dataclass(slots=True)
class _Refused:
    """What one door turned away within a minute, and how much of it is on record."""

    since: datetime
    begun: float
    times: int = 0
    recorded: int = 0
    row: Rejection | None = None


class Overflow:
    """Counts them in memory, and puts one row a minute for each endpoint and automation on
    record: a commit for each request would be one more for every request of a storm.

    The first of a spell is on record at once, the others within `LONGEST_PAUSE`.
    """

    def __init__(self, ledger: EventLedger, *, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._refused: dict[tuple[str, str | None], _Refused] = {}
        self._noted = asyncio.Event()
        self._postponed = Spell(
            _log, clock, event="events.rejection_postponed", over="events.rejection_recorded"
        )

    def note(self, endpoint: str, event: Event) -> None:
        """A request was refused that would have become `event`. Costs no commit."""
        key = (endpoint, event.address)
        self._refused.setdefault(key, self._beginning()).times += 1
        self._noted.set()

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_PAUSE
        while True:
            await self._noted.wait()
            await self.record()
            await self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE) if self._noted.is_set() else FIRST_PAUSE

    async def record(self) -> None:
        """Have the ledger know all that was turned away so far. What cannot be recorded is kept
        for the next time."""
        self._noted.clear()
        for key, refused in list(self._refused.items()):
            try:
                if refused.times > refused.recorded:
                    await self._record(*key, refused)
                    self._postponed.ended()
            except AmodalError as error:
                self._postponed.failed(code=error.code, reason=REASON)
                self._noted.set()
            else:
                self._end_row(key, refused)

    def _beginning(self) -> _Refused:
        return _Refused(self._clock.now(), self._clock.monotonic())

    def _end_row(self, key: tuple[str, str | None], refused: _Refused) -> None:
        if self._clock.monotonic() - refused.begun < ROW_SECONDS:
            return
        del self._refused[key]
        # Some may have come while the others were recorded.
        if more := refused.times - refused.recorded:
            self._refused[key] = replace(self._beginning(), times=more)

    async def _record(self, endpoint: str, automation: str | None, refused: _Refused) -> None:
        times = refused.times
        many = f": {times} requests since {iso(refused.since)}"
        rejection = Rejection(
            endpoint=endpoint,
            automation=automation,
            reason=REASON + (many if times > 1 else ""),
            at=self._clock.now(),
        )
        await self._ledger.reject(
            rejection, count=times - refused.recorded, counted_as=REASON, instead_of=refused.row
        )
        refused.row, refused.recorded = rejection, times
