"""Slots of schedules that went away while nobody ruled on them: changed, or without a file."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from amodal_rt.domain import schedule
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.trigger import CronTrigger
from amodal_rt.ids import Ids
from amodal_rt.logs import Log
from amodal_rt.ports import RunLedger, ScheduleLedger, ScheduleState, Versions
from amodal_rt.triggers.covering import Covering
from amodal_rt.triggers.holds import Holds
from amodal_rt.triggers.missed import Due, given_up
from amodal_rt.triggers.standing import Left

CHANGED = "its schedule was changed while no daemon ran"
DELETED = "its file, or this schedule in it, went away while no daemon ran"

_log = Log("triggers")


class SlotLedger(RunLedger, ScheduleLedger, Protocol):
    """What this needs of the ledger."""


class GivenUp:
    """Puts on record as missed what fell due of them, under the version that had them."""

    def __init__(self, ledger: SlotLedger, ids: Ids, covering: Covering) -> None:
        self._ledger = ledger
        self.versions: Versions | None = None
        self._ids = ids
        self._covering = covering

    async def record(self, left: Sequence[Left], holds: Holds, now: datetime) -> None:
        """Their slots up to `now`, as one row each; what is on record already stays."""
        for each in left:
            known = await self._known(each.state)
            if known is None:
                _log.warning("schedule.unknown", automation=each.state.automation)
                continue
            definition, trigger = known
            state = each.state
            taken = await self._ledger.slots_on_record({state.automation: state.ruled}, until=now)
            due = Due(
                definition=definition,
                trigger=trigger,
                after=state.ruled,
                now=now,
                fresh=timedelta(0),
                hold=holds.on(definition),
                taken=taken.get(state.automation, ()),
            )
            await self._admit(due, CHANGED if each.replaced else DELETED)

    async def _admit(self, due: Due, why: str) -> None:
        while starts := given_up(due, self._ids, why):
            if await self._ledger.admit(starts):
                return
            # Its first slot is another schedule's: the rest must not be lost with it. Or another
            # node gave it up just now: the rest is in the same row.
            slot = starts[0].scheduled_for
            assert slot is not None, "a schedule's start has a slot"
            due = replace(due, after=await self._covering.until(due.definition, due.trigger, slot))

    async def _known(self, state: ScheduleState) -> tuple[Definition, CronTrigger] | None:
        """The newest version that has the schedule."""
        found = await self.versions.versions(state.automation) if self.versions else ()
        for definition in found:
            for trigger in definition.automation.crons:
                same = schedule.fingerprint(trigger.schedule) == state.fingerprint
                if same and trigger.key == state.key:
                    return definition, trigger
        return None
