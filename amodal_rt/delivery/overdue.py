"""Schedules whose slots nobody rules on: looked for in the ledger, not asked of the scheduler."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from amodal_rt.clock import Clock, iso
from amodal_rt.delivery.conditions import Sighting
from amodal_rt.domain import schedule
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.condition import ConditionKind
from amodal_rt.domain.trigger import CronTrigger
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ports import (
    AutomationFacts,
    ConditionLedger,
    FactLedger,
    ScheduleLedger,
    ScheduleState,
)

OVERDUE = timedelta(seconds=60)
"""How long after it is due a slot must have its row."""
CONFIRM_SECONDS = 5.0
"""How long it must be seen so: a machine that slept wakes with everything overdue."""
FOREIGN_SECONDS = 60.0
"""The same where another schedule stands on record in its place: it may just have been changed,
or files may be on their way to a node that another has read already."""
RESTING = timedelta(minutes=5)
"""How far in the future the last slot on record may lie: only a clock that was ahead, by more
than the nodes' may differ, puts one there."""
_FRESH = 1_000
"""How many calendars one look opens: thousands at once would hold up everything else."""

Key = tuple[str, str]
States = Mapping[Key, ScheduleState]


class SlotLedger(ScheduleLedger, FactLedger, ConditionLedger, Protocol):
    """What tells how far each schedule was ruled on."""


class Overdue:
    """Finds slots without a row. Remembers next times, so that a look over thousands is cheap."""

    def __init__(self, ledger: SlotLedger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._next: dict[Key, tuple[str, datetime, datetime | None]] = {}
        self._seen: dict[str, float] = {}
        self._left = _FRESH

    async def look(self, snapshot: Snapshot) -> list[Sighting]:
        """What is overdue, and was so for a while in which the ledger took writes: where it does
        not, no slot can be ruled on, and other things tell of that. Raises UnavailableError."""
        now = self._clock.now()
        states = {
            (each.automation, each.key): each for each in await self._ledger.schedule_states()
        }
        facts = await self._ledger.automation_facts()
        found = await asyncio.to_thread(self._find, snapshot, states, facts, now)
        if any(each.key not in self._seen for each, _ in found):
            await self._ledger.prove_writable(now)
        elapsed = self._clock.monotonic()
        self._seen = {each.key: self._seen.get(each.key, elapsed) for each, _ in found}
        return [each for each, wait in found if elapsed - self._seen[each.key] >= wait]

    def start_over(self) -> None:
        """The ledger took no write: what is overdue must be seen so for a while once it does."""
        self._seen = {}

    def _find(
        self,
        snapshot: Snapshot,
        states: States,
        facts: Mapping[str, AutomationFacts],
        now: datetime,
    ) -> list[tuple[Sighting, float]]:
        """What is overdue, and for how long it must be seen so."""
        found: list[tuple[Sighting, float]] = []
        self._left = _FRESH
        self._next = {key: known for key, known in self._next.items() if key in states}
        for name, trigger in _watched(snapshot, facts):
            state = states.get((name, trigger.key))
            if state is not None and (resting := self._resting(trigger, state, now)):
                found.append((resting, CONFIRM_SECONDS))
                continue
            due = self._due(trigger, state) if state else None
            if state is not None and due is not None and due + OVERDUE <= now:
                own = state.fingerprint == schedule.fingerprint(trigger.schedule)
                sighting = Sighting(
                    kind=ConditionKind.SCHEDULE_OVERDUE,
                    about=f"{name} {trigger.key}",
                    subject=name,
                    automation=name,
                    detail=f"the slot of {iso(due)} has no run and no reason why not",
                    since=due + OVERDUE,
                )
                found.append((sighting, CONFIRM_SECONDS if own else FOREIGN_SECONDS))
        return found

    def _resting(
        self, trigger: CronTrigger, state: ScheduleState, now: datetime
    ) -> Sighting | None:
        """What to say of a schedule that was ruled on ahead of time: no slot runs twice, so it
        would say nothing until then."""
        until = max(state.counted_from, state.last_slot or state.counted_from)
        if until <= now + RESTING or self._left <= 0:
            return None
        self._left -= 1
        following = schedule.first_after(trigger.schedule, now)
        if following is None or following > until:
            return None
        return Sighting(
            kind=ConditionKind.SCHEDULE_OVERDUE,
            about=f"{state.automation} {trigger.key}",
            subject=state.automation,
            automation=state.automation,
            detail=f"its slots up to {iso(until)} were ruled on while a clock was ahead, and it"
            " rests until then",
        )

    def _due(self, trigger: CronTrigger, state: ScheduleState) -> datetime | None:
        """The first slot that was not ruled on; None where it is for a later look to find out."""
        fingerprint = schedule.fingerprint(trigger.schedule)
        key = state.automation, state.key
        ruled = max(state.counted_from, state.last_slot or state.counted_from)
        known = self._next.get(key)
        if known is None or known[:2] != (fingerprint, ruled):
            if self._left <= 0:
                return None
            self._left -= 1
            following = schedule.first_after(trigger.schedule, ruled)
            known = self._next[key] = (fingerprint, ruled, following)
        return known[2]


def _watched(
    snapshot: Snapshot, facts: Mapping[str, AutomationFacts]
) -> Sequence[tuple[str, CronTrigger]]:
    """The schedules that should have every slot on record."""
    found: list[tuple[str, CronTrigger]] = []
    for name in snapshot.automations:
        definition, known = snapshot.find(name), facts.get(name)
        if definition is None or (known is not None and known.paused):
            continue
        if definition.automation.status is Lifecycle.ACTIVE:
            found += [(name, trigger) for trigger in definition.automation.crons]
    return found
