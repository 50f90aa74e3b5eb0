"""Schedules that count from an instant to come: they were armed while a clock was ahead."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from amodal_rt.clock import AHEAD, Clock
from amodal_rt.domain.run import Run
from amodal_rt.logs import Log
from amodal_rt.ports import RunFilter, ScheduleState
from amodal_rt.triggers.standing import Standing

_MOST = 1_000
_log = Log("triggers")


class RulingLedger(Protocol):
    """What tells which slots were ruled on."""

    async def list_runs(self, wanted: RunFilter) -> list[Run]:
        """As `ports.RunLedger`."""
        ...


class Recounting:
    """Notices a wall clock that went back, and has such schedules count from now.

    The slots that they ruled on meanwhile are keys of the ledger and run no second time; what
    was skipped as a stretch has keys at its ends alone, so that then the schedule rests.
    """

    def __init__(self, ledger: RulingLedger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._latest = clock.now()
        self._owed = False

    def is_due(self) -> bool:
        """Whether the wall clock went back by over a minute, and that was not `settled`."""
        before, self._latest = self._latest, self._clock.now()
        self._owed = self._owed or before - self._latest > AHEAD
        return self._owed

    def settled(self) -> None:
        """What follows from it was done."""
        self._owed = False

    async def recount(self, standing: Standing, names: Iterable[str], now: datetime) -> None:
        """Count the schedules of these automations from `now` that count from later on."""
        found: list[ScheduleState] = []
        for name in names:
            ahead = [each for each in standing.of(name).values() if each.counted_from > now + AHEAD]
            if ahead and not await self._skipped_a_stretch(name, now):
                found += [replace(each, counted_from=now, last_slot=None) for each in ahead]
        for each in found:
            _log.warning("schedule.counted_anew", automation=each.automation, key=each.key)
        await standing.put(found)

    async def _skipped_a_stretch(self, name: str, now: datetime) -> bool:
        """Whether slots to come stand on record within a stretch, or may."""
        runs = await self._ledger.list_runs(RunFilter(automation=name, limit=_MOST))
        if len(runs) == _MOST:
            return True
        return any(run.scheduled_until is not None and run.scheduled_until > now for run in runs)
