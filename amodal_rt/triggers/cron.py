"""Schedules: every due slot becomes a row of the ledger, once."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from amodal_rt.clock import Clock, first_of
from amodal_rt.domain import schedule
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.holding import armed as counting
from amodal_rt.domain.trigger import CronTrigger
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import UnavailableError
from amodal_rt.ids import Ids
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import (
    RUNS_PENDING,
    SNAPSHOT,
    FactLedger,
    RunLedger,
    ScheduleState,
    Signals,
    VersionedCatalogue,
    Versions,
)
from amodal_rt.triggers.agenda import Agenda
from amodal_rt.triggers.alarm import Alarm, SchedulerAlarm
from amodal_rt.triggers.arming import Armed, Key
from amodal_rt.triggers.covering import Covering
from amodal_rt.triggers.given_up import GivenUp
from amodal_rt.triggers.holds import Holds
from amodal_rt.triggers.missed import wishes_of
from amodal_rt.triggers.readying import Readying
from amodal_rt.triggers.recounting import Recounting
from amodal_rt.triggers.ruling import Ruling, take_turns
from amodal_rt.triggers.standing import Standing, StandingLedger

TICK_SECONDS = 5.0
"""How often the clock is looked at whatever was set: it may have been turned, or have slept."""

OTHERS_SECONDS = 30.0
"""How often it is looked whether other nodes still have what only they have."""

ASIDE_SECONDS = 15.0
"""How long new files may be on their way to this node, where another has read them already."""

RETRY_SECONDS = 1.0
"""How long after the ledger could not be used it is asked again."""

_log = Log("triggers")


class SlotLedger(RunLedger, StandingLedger, Protocol):
    """What the scheduler needs of the ledger."""


class Scheduler:
    """Rules on every slot of every schedule in the order of time.

    The agenda in memory is only a memory of the ledger: what was ruled on is read at start,
    and a slot is a primary key, so that neither a crash nor a turned clock starts one twice.
    """

    def __init__(
        self,
        *,
        catalogue: VersionedCatalogue,
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
        self._agenda = Agenda()
        self._readying = Readying()
        self._seen: dict[str, Definition] = {}
        self._standing = Standing(ledger)
        self._recounting = Recounting(ledger, clock)
        covering = Covering(ledger, catalogue)
        self._given_up = GivenUp(ledger, ids, covering)
        self._ruling = Ruling(ledger, self._standing, covering, self._readying, clock, ids)
        self._aside: dict[Key, tuple[Armed, float]] = {}
        self._asked_others = clock.monotonic()
        self._holds = Holds()
        self._version: int | None = None
        self._postponed = Spell(_log, clock, event="schedule.postponed", over="schedule.resumed")
        self.looked_at = clock.monotonic()
        """When it last looked for due slots: every few seconds while all is well."""

    def look_back_with(self, versions: Versions) -> None:
        """From now on know what automations were: of a schedule that changed while nobody
        watched, what fell due comes on record too."""
        self._given_up.versions = versions

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
                    alarm.set(self._wake_at() if done else None)
                    tick = self._clock.sleep(self._tick_seconds if done else RETRY_SECONDS)
                    await first_of(snapshot(), alarm.wait(), tick)
            finally:
                alarm.close()

    def _wake_at(self) -> datetime | None:
        """When to look again: at the next instant, or earlier where there is much to make."""
        at = self._agenda.first
        return self._readying.wake_at(at, len(self._agenda.waiting_for(at))) if at else None

    async def _step(self) -> bool:
        """Look once; False when the ledger could not be used."""
        try:
            snapshot = self._catalogue.snapshot()
            if self._recounting.is_due():
                await self._recount()
            if snapshot.version != self._version:
                # What fell due before the files changed is ruled on as they were.
                await self._fire()
                await self._reconcile(snapshot)
                self._version = snapshot.version
            await self._look_at_others(snapshot)
            self._take_back()
            await self._fire()
            await self._ready()
        except UnavailableError as error:
            # The slots stay due: the next look rules on them.
            self._postponed.failed(code=error.code, error=error.message)
            return False
        self._postponed.ended()
        return True

    async def _recount(self) -> None:
        """Arm those schedules anew that count from now instead of from an instant to come."""
        now = self._clock.now()
        await self._standing.read()
        await self._recounting.recount(self._standing, self._seen, now)
        for key, armed in list(self._armed.items()):
            state = self._standing.find(key)
            if state is None or state.fingerprint != armed.fingerprint or armed.ruled <= now:
                continue
            if state.ruled <= now:
                del self._armed[key]
                self._put(armed.definition, armed.trigger, state.ruled, now)
        self._recounting.settled()

    async def _reconcile(self, snapshot: Snapshot) -> None:
        """Follow the files, from where any node left their schedules."""
        await self._standing.read()
        changed = self._changed(snapshot)
        now = self._clock.now()
        await self._recounting.recount(self._standing, [name for name, _ in changed], now)
        await self._forget(snapshot, [name for name, _ in changed])
        fresh: list[ScheduleState] = []
        for name, definition in changed:
            fresh += self._arm(name, definition, now)
        await self._standing.put(fresh)
        for name, definition in changed:
            if definition is None:
                self._seen.pop(name, None)
            else:
                self._seen[name] = definition

    async def _forget(self, snapshot: Snapshot, names: Iterable[str]) -> None:
        """A file that is gone, or a draft, counts anew when it comes back; a broken one not."""
        left = await self._standing.left(snapshot, names)
        if lost := [each for each in left if not each.living and not self._has_ruled(each.state)]:
            await self._read_facts()
            await self._given_up.record(lost, self._holds, self._clock.now())
        await self._standing.forget(left)

    def _has_ruled(self, state: ScheduleState) -> bool:
        """Whether this process did, up to now: what is due is always ruled on first."""
        armed = self._armed.get((state.automation, state.key))
        return armed is not None and armed.fingerprint == state.fingerprint

    async def _look_at_others(self, snapshot: Snapshot) -> None:
        """Forget what stayed on record for nodes that are gone by now."""
        elapsed = self._clock.monotonic()
        if self._standing.others and elapsed - self._asked_others >= OTHERS_SECONDS:
            self._asked_others = elapsed
            await self._standing.read()
            await self._forget(snapshot, sorted(self._standing.others))

    def _take_back(self) -> None:
        """Go on with what was put aside for new files, where none came."""
        elapsed = self._clock.monotonic()
        for key, (armed, since) in list(self._aside.items()):
            if elapsed - since >= ASIDE_SECONDS:
                del self._aside[key]
                self._armed[key] = armed
                self._push(armed)

    async def _read_facts(self) -> None:
        """Whether an automation is paused counts at the instant of its slot, and another node
        may have paused it."""
        facts = await self._fact_ledger.automation_facts()
        holds = Holds(facts, self._catalogue.snapshot().identities)
        # What was made ready was made under the same object.
        if holds != self._holds:
            self._holds = holds

    def _changed(self, snapshot: Snapshot) -> list[tuple[str, Definition | None]]:
        """Automations whose live version is another than before; at first, all of them."""
        names = {*snapshot.automations, *self._seen, *self._standing.names}
        found: list[tuple[str, Definition | None]] = []
        for name in sorted(names):
            definition = counting(snapshot, name)
            if self._version is None or definition is not self._seen.get(name):
                found.append((name, definition))
        return found

    def _arm(self, name: str, definition: Definition | None, now: datetime) -> list[ScheduleState]:
        crons = definition.automation.crons if definition else ()
        kept = {trigger.key for trigger in crons}
        before = self._seen.get(name)
        for key in {each.key for each in before.automation.crons} - kept if before else ():
            self._aside.pop((name, key), None)
            self._armed.pop((name, key), None)
        states: list[ScheduleState] = []
        for trigger in crons:
            assert definition is not None
            state, is_new = self._state(name, trigger, now)
            if is_new:
                states.append(state)
            self._put(definition, trigger, state.ruled, now)
        return states

    def _state(self, name: str, trigger: CronTrigger, now: datetime) -> tuple[ScheduleState, bool]:
        """Where the schedule stands; a changed schedule counts anew."""
        fingerprint = schedule.fingerprint(trigger.schedule)
        state = self._standing.find((name, trigger.key))
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
        aside = self._aside.get(key)
        armed = aside[0] if aside else self._armed.get(key)
        if armed is not None and armed.trigger.schedule == trigger.schedule:
            armed.definition, armed.trigger = definition, trigger
            return
        self._aside.pop(key, None)
        next_at = schedule.first_after(trigger.schedule, ruled)
        # A slot of the time when nobody watched was missed, however young it is.
        late = next_at is not None and next_at <= now
        following = schedule.first_after(trigger.schedule, next_at) if next_at else None
        self._armed[key] = Armed(definition, trigger, ruled, next_at, following, late)
        self._push(self._armed[key])

    async def _fire(self) -> None:
        now = self._clock.now()
        due = self._pop(now)
        if not due:
            return
        try:
            if any(armed.is_behind(now) for armed in due):
                due = await self._caught_up(due, now)
            await self._read_facts()
            await self._ruling.rule(due, self._holds, now)
        except BaseException:
            for armed in due:
                self._push(armed)
            raise
        self._signals.notify(RUNS_PENDING)
        for number, armed in enumerate(due, start=1):
            self._advance(armed, now)
            await take_turns(self._clock, number)

    async def _caught_up(self, due: list[Armed], now: datetime) -> list[Armed]:
        """Those of them of which slots are not on record, after a time in which other nodes may
        have ruled on some, or have read files that are still to come to this one."""
        await self._standing.read()
        found: list[Armed] = []
        beside: list[Armed] = []
        for armed in due:
            state = self._standing.find(armed.key)
            foreign = state is not None and state.fingerprint != armed.fingerprint
            if state and foreign and state.fingerprint != armed.beside:
                # Armed anew with the files that are still to come, or as it is without them.
                armed.beside = state.fingerprint
                self._aside[armed.key] = (armed, self._clock.monotonic())
                self._armed.pop(armed.key, None)
                continue
            if state and foreign:
                beside.append(armed)
            elif state and state.last_slot and state.last_slot > armed.ruled:
                armed.go_on_after(state.last_slot)
            if armed.next_at is not None and armed.next_at <= now:
                found.append(armed)
            else:
                self._push(armed)
        await self._standing.take_over(beside)
        return found

    async def _ready(self) -> None:
        """Make the starts of the next instant ahead of it, if there are very many."""
        at = self._agenda.first
        due = self._agenda.waiting_for(at) if at else ()
        if at is None or not self._readying.is_due(at, len(due), self._clock.now()):
            return
        await self._read_facts()
        self._readying.begin(at)
        for number, key in enumerate(list(due), start=1):
            armed = self._armed.get(key)
            if armed is not None and armed.next_at == at and not armed.late:
                wishes = wishes_of(armed, self._holds, at, self._ids)
                self._readying.keep(armed, self._holds, wishes)
                self._ledger.expect(wishes)
            await take_turns(self._clock, number)

    def _advance(self, armed: Armed, now: datetime) -> None:
        """Up to `now` everything is on record: go on to the next slot."""
        state = self._standing.find(armed.key)
        if state is not None and state.fingerprint != armed.fingerprint:
            state = None
        # Another node may have ruled on more: from its last slot on, not from within.
        seen = state.last_slot if state and state.last_slot and state.last_slot > now else now
        armed.late = False
        armed.step_on(seen)
        self._push(armed)
        if state is not None and seen == now:
            self._standing.note(replace(state, last_slot=now))

    def _pop(self, now: datetime) -> list[Armed]:
        found: dict[Key, Armed] = {}
        for at, keys in self._agenda.take(now):
            for key in keys:
                armed = self._armed.get(key)
                # An entry of a schedule that was changed since has another time, or no owner.
                if armed is not None and armed.next_at == at:
                    found[key] = armed
        return list(found.values())

    def _push(self, armed: Armed) -> None:
        if armed.next_at is not None:
            self._agenda.put(armed.next_at, armed.key)
