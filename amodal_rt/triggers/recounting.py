"""Schedules that count from an instant to come: they were armed while a clock was ahead."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from amodal_rt.clock import AHEAD, Clock
from amodal_rt.domain.run import Run
from amodal_rt.logs import Log
from amodal_rt.ports import RunFilter, ScheduleState
from amodal_rt.triggers.standing import Standing

_MOST = 1_000
_LATER = timedelta(hours=1)
"""When to ask again about an automation with so many runs."""
_log = Log("triggers")


class RulingLedger(Protocol):
    """What tells which slots were ruled on."""

    async def list_runs(self, wanted: RunFilter) -> list[Run]:
        """As `ports.RunLedger`."""
        ...


class Recounting:
    """Notices a wall clock that went back, and has such schedules count from now.

    The slots that they ruled on meanwhile are keys of the ledger and run no second time; what
    was skipped as a stretch has keys at its ends alone, so that the schedule rests until its end.
    """

    def __init__(self, ledger: RulingLedger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._latest = clock.now()
        self._owed = False
        self._rests_until: datetime | None = None

    def is_due(self) -> bool:
        """Whether the wall clock went back by over a minute, or a schedule has rested since then
        for long enough, and that was not `settled`."""
        before, self._latest = self._latest, self._clock.now()
        rested = self._rests_until is not None and self._rests_until <= self._latest
        self._owed = self._owed or rested or before - self._latest > AHEAD
        return self._owed

    def settled(self) -> None:
        """What follows from it was done."""
        self._owed = False
        if self._rests_until is not None and self._rests_until <= self._latest:
            self._rests_until = None

    async def recount(self, standing: Standing, names: Iterable[str], now: datetime) -> None:
        """Count the schedules of these automations from `now` that count from later on."""
        found: list[ScheduleState] = []
        for name in names:
            ahead = [each for each in standing.of(name).values() if each.counted_from > now + AHEAD]
            if not ahead:
                continue
            until = await self._end_of_stretch(name, now)
            if until is None:
                found += [replace(each, counted_from=now, last_slot=None) for each in ahead]
            else:
                self._rests_until = min(until, self._rests_until or until)
        for each in found:
            _log.warning("schedule.counted_anew", automation=each.automation, key=each.key)
        await standing.put(found)

    async def _end_of_stretch(self, name: str, now: datetime) -> datetime | None:
        """Until when slots to come stand on record within a stretch, or may."""
        runs = await self._ledger.list_runs(RunFilter(automation=name, limit=_MOST))
        if len(runs) == _MOST:
            return now + _LATER
        ends = [run.scheduled_until for run in runs if run.scheduled_until is not None]
        return max((each for each in ends if each > now), default=None)
