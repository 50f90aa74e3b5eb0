"""Schedules: every due slot becomes a row of the ledger, once."""

import asyncio
import heapq
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Protocol

from amodal_rt.clock import Clock, first_of
from amodal_rt.domain import schedule
from amodal_rt.domain.automation import Definition, Lifecycle
from amodal_rt.domain.run import Start
from amodal_rt.domain.trigger import CronTrigger
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import UnavailableError
from amodal_rt.ids import Ids
from amodal_rt.logs import Log
from amodal_rt.ports import (
    RUNS_PENDING,
    SNAPSHOT,
    AutomationFacts,
    Catalogue,
    FactLedger,
    RunLedger,
    RunRef,
    ScheduleLedger,
    ScheduleState,
    Signals,
)
from amodal_rt.triggers.alarm import Alarm, SchedulerAlarm
from amodal_rt.triggers.arming import FRESH, Armed, Asked, Key, first_slot, last_slot
from amodal_rt.triggers.missed import Due, starts
from amodal_rt.triggers.readying import Readying
from amodal_rt.triggers.starts import pause_rule

TICK_SECONDS = 5.0
"""How often the clock is looked at whatever was set: it may have been turned, or have slept."""

RETRY_SECONDS = 1.0
"""How long after the ledger could not be used it is asked again."""

_AT_A_TIME = 250
"""After so many schedules others have a turn: ten thousand would hold up every webhook."""
_ADMITTED_AT_A_TIME = 5_000
"""So many starts are put on record while the next are got ready for it."""

_log = Log("triggers")


class SlotLedger(RunLedger, ScheduleLedger, Protocol):
    """What the scheduler needs of the ledger."""


class Scheduler:
    """Rules on every slot of every schedule in the order of time.

    The heap in memory is only a memory of the ledger: what was ruled on is read at start,
    and a slot is a primary key, so that neither a crash nor a turned clock starts one twice.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        ledger: SlotLedger,
        facts: FactLedger,
        signals: Signals,
        clock: Clock,
        ids: Ids,
        alarm: Alarm | None = None,
        tick_seconds: float = TICK_SECONDS,
    ) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._fact_ledger = facts
        self._signals = signals
        self._clock = clock
        self._ids = ids
        self._given_alarm = alarm
        self._tick_seconds = tick_seconds
        self._armed: dict[Key, Armed] = {}
        # Numbered, as names compare far more slowly where ten thousand share an instant.
        self._heap: list[tuple[datetime, int, Key]] = []
        self._numbers = count()
        self._readying = Readying()
        self._seen: dict[str, Definition] = {}
        self._states: dict[str, dict[str, ScheduleState]] = {}
        self._facts: Mapping[str, AutomationFacts] = {}
        self._version: int | None = None
        self.looked_at = clock.monotonic()
        """When it last looked for due slots: every few seconds while all is well."""

    async def arm(self) -> None:
        """Put on record from when each schedule counts: a runtime that says it is ready has
        promised their slots, also to a process that comes after it. Raises UnavailableError."""
        snapshot = self._catalogue.snapshot()
        await self._reconcile(snapshot)
        self._version = snapshot.version

    async def run(self) -> None:
        """Arm what the files say, rule on what was missed, and go on until cancelled."""
        alarm = self._given_alarm or SchedulerAlarm()
        with self._signals.listen(SNAPSHOT) as snapshot:
            try:
                while True:
                    self.looked_at = self._clock.monotonic()
                    done = await self._step()
                    # What could not be ruled on is due all the time: it would ring for ever.
                    next_at = self._heap[0][0] if self._heap and done else None
                    alarm.set(self._readying.wake_at(next_at) if next_at else None)
                    tick = self._clock.sleep(self._tick_seconds if done else RETRY_SECONDS)
                    await first_of(snapshot(), alarm.wait(), tick)
            finally:
                alarm.close()

    async def _step(self) -> bool:
        """Look once; False when the ledger could not be used."""
        try:
            snapshot = self._catalogue.snapshot()
            if snapshot.version != self._version:
                # What fell due before the files changed is ruled on as they were.
                await self._fire()
                await self._reconcile(snapshot)
                self._version = snapshot.version
            await self._fire()
            await self._ready()
        except UnavailableError as error:
            # The slots stay due: the next look rules on them.
            _log.error("schedule.postponed", code=error.code, error=error.message)
            return False
        return True

    async def _reconcile(self, snapshot: Snapshot) -> None:
        """Follow the files, from where any node left their schedules."""
        await self._read_states()
        changed = self._changed(snapshot)
        now = self._clock.now()
        fresh: list[ScheduleState] = []
        for name, definition in changed:
            fresh += self._arm(name, definition, now)
        await self._ledger.set_schedule_states(fresh)
        for state in fresh:
            self._states.setdefault(state.automation, {})[state.key] = state
        for name, definition in changed:
            await self._forget(name, definition, snapshot)
            if definition is None:
                self._seen.pop(name, None)
            else:
                self._seen[name] = definition

    async def _read_states(self) -> None:
        states: dict[str, dict[str, ScheduleState]] = {}
        for each in await self._ledger.schedule_states():
            states.setdefault(each.automation, {})[each.key] = each
        self._states = states

    async def _read_facts(self) -> None:
        """Whether an automation is paused counts at the instant of its slot, and another node
        may have paused it."""
        facts = await self._fact_ledger.automation_facts()
        # What was made ready was made under the same object.
        if facts != self._facts:
            self._facts = facts

    def _changed(self, snapshot: Snapshot) -> list[tuple[str, Definition | None]]:
        """Automations whose live version is another than before; at first, all of them."""
        names = {*snapshot.automations, *self._seen, *self._states}
        found: list[tuple[str, Definition | None]] = []
        for name in sorted(names):
            definition = snapshot.find(name)
            if definition is not None and definition.automation.status is Lifecycle.DRAFT:
                definition = None
            if self._version is None or definition is not self._seen.get(name):
                found.append((name, definition))
        return found

    def _arm(self, name: str, definition: Definition | None, now: datetime) -> list[ScheduleState]:
        crons = definition.automation.crons if definition else ()
        kept = {trigger.key for trigger in crons}
        for key in self._states.get(name, {}).keys() - kept:
            self._armed.pop((name, key), None)
        states: list[ScheduleState] = []
        for trigger in crons:
            assert definition is not None
            state, is_new = self._state(name, trigger, now)
            if is_new:
                states.append(state)
            ruled = max(state.counted_from, state.last_slot or state.counted_from)
            self._put(definition, trigger, ruled, now)
        return states

    def _state(self, name: str, trigger: CronTrigger, now: datetime) -> tuple[ScheduleState, bool]:
        """Where the schedule stands; a changed schedule counts anew."""
        fingerprint = schedule.fingerprint(trigger.schedule)
        state = self._states.get(name, {}).get(trigger.key)
        if state is not None and state.fingerprint == fingerprint:
            return state, False
        return (
            ScheduleState(
                automation=name, key=trigger.key, fingerprint=fingerprint, counted_from=now
            ),
            True,
        )

    def _put(
        self, definition: Definition, trigger: CronTrigger, ruled: datetime, now: datetime
    ) -> None:
        key = (definition.automation.name, trigger.key)
        armed = self._armed.get(key)
        if armed is not None and armed.trigger.schedule == trigger.schedule:
            armed.definition, armed.trigger = definition, trigger
            return
        next_at = schedule.first_after(trigger.schedule, ruled)
        # A slot of the time when nobody watched was missed, however young it is.
        late = next_at is not None and next_at <= now
        following = schedule.first_after(trigger.schedule, next_at) if next_at else None
        self._armed[key] = Armed(definition, trigger, ruled, next_at, following, late)
        self._push(self._armed[key])

    async def _forget(self, name: str, definition: Definition | None, snapshot: Snapshot) -> None:
        """A file that is gone, or a draft, counts anew when it comes back; a broken one not."""
        keep = [trigger.key for trigger in definition.automation.crons] if definition else []
        state = snapshot.automations.get(name)
        if definition is None and state is not None and state.definition is None:
            return
        if definition is None and state is not None and state.blocked:
            return
        states = self._states.get(name, {})
        if any(key not in keep for key in states):
            await self._ledger.remove_schedules(name, keep)
            self._states[name] = {key: each for key, each in states.items() if key in keep}

    async def _fire(self) -> None:
        now = self._clock.now()
        due = self._pop(now)
        if not due:
            return
        try:
            if any(armed.is_behind(now) for armed in due):
                due = await self._caught_up(due, now)
            await self._read_facts()
            await self._rule(due, now)
        except BaseException:
            for armed in due:
                self._push(armed)
            raise
        self._signals.notify(RUNS_PENDING)
        for number, armed in enumerate(due, start=1):
            self._advance(armed, now)
            await self._take_turns(number)

    async def _caught_up(self, due: list[Armed], now: datetime) -> list[Armed]:
        """Those of them of which slots are not on record, after a time in which other nodes may
        have ruled on some, or have read files that are still to come to this one."""
        await self._read_states()
        found: list[Armed] = []
        for armed in due:
            name, key = armed.key
            state = self._states.get(name, {}).get(key)
            if state and state.fingerprint != schedule.fingerprint(armed.trigger.schedule):
                # It is armed again, as it stands by then, with the next reading of the files.
                self._armed.pop(armed.key, None)
                self._seen.pop(name, None)
                continue
            if state and state.last_slot and state.last_slot > armed.ruled:
                armed.go_on_after(state.last_slot)
            if armed.next_at is not None and armed.next_at <= now:
                found.append(armed)
            else:
                self._push(armed)
        return found

    async def _rule(self, due: list[Armed], now: datetime) -> None:
        """Put every slot on record."""
        while due:
            asked: list[Asked] = []
            for number, armed in enumerate(due, start=1):
                ready = self._readying.take(armed, self._facts, now)
                wishes = self._wishes(armed, now) if ready is None else ready
                asked.append((armed, wishes))
                if ready is None:
                    await self._take_turns(number)
            if await self._admit(asked):
                return
            due = await self._refused(asked, now)

    async def _refused(self, asked: list[Asked], now: datetime) -> list[Armed]:
        """Some slots were on record already, by another node or another schedule of the
        automation. What must be asked for again: the rest of stretches that begin with one."""
        await self._read_states()
        again: list[Armed] = []
        passed: list[ScheduleState] = []
        for armed, wishes in asked:
            name, key = armed.key
            state = self._states.get(name, {}).get(key)
            if not wishes or state is None:
                continue
            last, seen = last_slot(wishes), state.last_slot or state.counted_from
            if seen >= last:
                continue
            if all(start.count == 1 for start in wishes) and seen <= armed.ruled:
                # Left as it is, a schedule that never comes first would not move for years.
                passed.append(replace(state, last_slot=last))
                continue
            armed.go_on_after(seen if seen > armed.ruled else first_slot(wishes))
            if armed.next_at is not None and armed.next_at <= now:
                again.append(armed)
        await self._ledger.set_schedule_states(passed)
        return again

    async def _admit(self, asked: list[Asked]) -> bool:
        """Put them on record; whether each of them gave a row."""
        admitted: list[asyncio.Task[list[RunRef]]] = []
        part: list[Start] = []
        wanted = 0
        for place, (_, wishes) in enumerate(asked, start=1):
            # Never parted: what follows a stretch must be refused with it.
            part += wishes
            if len(part) < _ADMITTED_AT_A_TIME and place < len(asked):
                continue
            wanted += len(part)
            admitted.append(asyncio.ensure_future(self._ledger.admit(part)))
            part = []
            # The writer has them when two turns are over, and works while we go on.
            await self._clock.sleep(0)
            await self._clock.sleep(0)
        return sum(len(refs) for refs in await asyncio.gather(*admitted)) == wanted

    async def _ready(self) -> None:
        """Make the starts of the next instant ahead of it, if there are very many."""
        at = self._heap[0][0] if self._heap else None
        if at is None or not self._readying.is_due(at, self._clock.now()):
            return
        await self._read_facts()
        self._readying.begin(at)
        due = [key for when, _, key in self._heap if when == at]
        for number, key in enumerate(due, start=1):
            armed = self._armed.get(key)
            if armed is not None and armed.next_at == at and not armed.late:
                self._readying.keep(armed, self._facts, self._wishes(armed, at))
            await self._take_turns(number)

    async def _take_turns(self, number: int) -> None:
        if number % _AT_A_TIME == 0:
            await self._clock.sleep(0)

    def _advance(self, armed: Armed, now: datetime) -> None:
        """Up to `now` everything is on record: go on to the next slot."""
        name, key = armed.key
        state = self._states.get(name, {}).get(key)
        # Another node may have ruled on more: from its last slot on, not from within.
        seen = state.last_slot if state and state.last_slot and state.last_slot > now else now
        armed.late = False
        armed.step_on(seen)
        self._push(armed)
        if state is not None and seen == now:
            self._states[name][key] = replace(state, last_slot=now)

    def _wishes(self, armed: Armed, now: datetime) -> list[Start]:
        definition, after = armed.definition, armed.ruled
        facts = self._facts.get(definition.automation.name)
        resumed = facts.resumed_at if facts and not facts.paused else None
        wishes: list[Start] = []
        if resumed is not None and armed.next_at is not None and armed.next_at <= resumed <= now:
            # It was resumed before anybody looked: what fell due until then was skipped.
            wishes = starts(self._due(armed, after, resumed, paused="paused"), self._ids)
            after = resumed
        paused = pause_rule(definition, facts)
        return wishes + starts(self._due(armed, after, now, paused=paused), self._ids)

    def _due(self, armed: Armed, after: datetime, now: datetime, *, paused: str | None) -> Due:
        alone = armed.following is None or armed.following > now
        return Due(
            definition=armed.definition,
            trigger=armed.trigger,
            after=after,
            now=now,
            fresh=timedelta(0) if armed.late else FRESH,
            paused=paused,
            only=armed.next_at if alone and after == armed.ruled else None,
        )

    def _pop(self, now: datetime) -> list[Armed]:
        found: dict[Key, Armed] = {}
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            self._readying.forget(at)
            armed = self._armed.get(key)
            # An entry of a schedule that was changed since has another time, or no owner.
            if armed is not None and armed.next_at == at:
                found[key] = armed
        return list(found.values())

    def _push(self, armed: Armed) -> None:
        if armed.next_at is not None:
            heapq.heappush(self._heap, (armed.next_at, next(self._numbers), armed.key))
            self._readying.expect(armed.next_at)
