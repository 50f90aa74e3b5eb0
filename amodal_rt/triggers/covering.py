"""How far a schedule is on record behind one of its slots that is."""

from datetime import datetime

from amodal_rt.domain import schedule
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.run import Run
from amodal_rt.domain.trigger import CronTrigger
from amodal_rt.ports import RunFilter, VersionedCatalogue
from amodal_rt.triggers.recounting import RulingLedger

_MOST = 1_000


class Covering:
    """Reads it off the row that has the slot: of a stretch the ends alone are keys of the
    ledger, so that a slot within one could be put on record a second time."""

    def __init__(self, ledger: RulingLedger, catalogue: VersionedCatalogue) -> None:
        self._ledger = ledger
        self._catalogue = catalogue

    async def until(self, definition: Definition, trigger: CronTrigger, slot: datetime) -> datetime:
        """The end of the stretch of this schedule that `slot` is on record in; `slot` itself
        where it stands alone, or in a stretch of another schedule, which skips only its own."""
        name = definition.automation.name
        for run in await self._ledger.list_runs(RunFilter(automation=name, at=slot, limit=_MOST)):
            if run.scheduled_for is None or run.scheduled_until is None:
                continue
            holds = run.schedule_key == trigger.key and run.scheduled_for <= slot
            if (
                holds
                and slot <= run.scheduled_until
                and await self._is_of(run, definition, trigger)
            ):
                return run.scheduled_until
        return slot

    async def _is_of(self, run: Run, definition: Definition, trigger: CronTrigger) -> bool:
        """Whether the schedule was the same one in the version that the row names."""
        if run.definition == definition.hash:
            return True
        version = await self._catalogue.find_version(run.automation, run.definition)
        crons = version.automation.crons if version else ()
        mine = schedule.fingerprint(trigger.schedule)
        return any(
            each.key == trigger.key and schedule.fingerprint(each.schedule) == mine
            for each in crons
        )
