"""Requests that a full queue refused, told of where other refusals are."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from amodal_rt.clock import Clock, iso
from amodal_rt.domain.event import Event, Rejection
from amodal_rt.errors import AmodalError
from amodal_rt.logs import Log
from amodal_rt.ports import EventLedger

EVERY_SECONDS = 60.0
REASON = "queue_full"

_log = Log("events")


@dataclass(slots=True)
class _Refused:
    """What one door turned away since the last row."""

    since: datetime
    times: int = 0


class Overflow:
    """Counts them in memory, and once a minute puts one row for each endpoint and automation on
    record: a commit for each request would be one more for every request of a storm.

    The first of a spell is on record at once. What was not yet is lost with the process.
    """

    def __init__(self, ledger: EventLedger, *, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._refused: dict[tuple[str, str | None], _Refused] = {}
        self._noted = asyncio.Event()

    def note(self, endpoint: str, event: Event) -> None:
        """A request was refused that would have become `event`. Costs no commit."""
        key = (endpoint, event.address)
        self._refused.setdefault(key, _Refused(self._clock.now())).times += 1
        self._noted.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._noted.wait()
            await self.record()
            await self._clock.sleep(EVERY_SECONDS)

    async def record(self) -> None:
        """One row for each endpoint and automation that turned something away since the last.
        What cannot be recorded is kept for the next time."""
        self._noted.clear()
        for key, refused in list(self._refused.items()):
            del self._refused[key]
            try:
                await self._record(*key, refused)
            except AmodalError as error:
                _log.warning("events.rejection_postponed", code=error.code, reason=REASON)
                later = self._refused.setdefault(key, refused)
                if later is not refused:
                    later.since, later.times = refused.since, later.times + refused.times
                self._noted.set()

    async def _record(self, endpoint: str, automation: str | None, refused: _Refused) -> None:
        many = f": {refused.times} requests since {iso(refused.since)}"
        rejection = Rejection(
            endpoint=endpoint,
            automation=automation,
            reason=REASON + (many if refused.times > 1 else ""),
            at=self._clock.now(),
        )
        await self._ledger.reject(rejection, count=refused.times, counted_as=REASON)
