"""Schedules, small facts, conditions and definitions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from amodal_rt.clock import to_millis
from amodal_rt.domain.condition import Condition, Ruling
from amodal_rt.ports import (
    Act,
    ArchivedDefinition,
    AutomationFacts,
    Caller,
    Intent,
    LiveDates,
    ScheduleState,
)
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.failures import FailureRows
from amodal_rt.testing.ledger.part import Part
from amodal_rt.testing.ledger.runs import RunRows


class ScheduleRows(Part):
    """`ports.ScheduleLedger` in memory."""

    async def schedule_states(self) -> list[ScheduleState]:
        self._check_reach()
        return sorted(
            self.store.schedules.values(), key=lambda state: (state.automation, state.key)
        )

    async def set_schedule_states(self, states: Sequence[ScheduleState]) -> None:
        def work() -> None:
            for state in states:
                stored = replace(
                    state,
                    counted_from=values.instant(state.counted_from),
                    last_slot=values.maybe_instant(state.last_slot),
                )
                self.store.schedules.put((state.automation, state.key), stored)

        if states:
            await self._write("set_schedule_states", work)

    async def slots_on_record(
        self, after: Mapping[str, datetime], *, until: datetime
    ) -> Mapping[str, Sequence[datetime]]:
        self._check_reach()
        found: dict[str, list[datetime]] = {}
        stretched: set[str] = set()
        for (name, slot), run_id in sorted(self.store.slots.items()):
            if name in after and after[name] < slot <= until:
                found.setdefault(name, []).append(slot)
                if self.store.runs.row(run_id).run.scheduled_until is not None:
                    stretched.add(name)
        return {name: slots for name, slots in found.items() if name not in stretched}

    async def remove_schedules(self, automation: str, keep: Sequence[str] = ()) -> None:
        def work() -> None:
            for name, key in self.store.schedules:
                if name == automation and key not in keep:
                    self.store.schedules.remove((name, key))

        await self._write("remove_schedules", work)


class FactRows(RunRows):
    """`ports.FactLedger` in memory."""

    async def automation_facts(self) -> Mapping[str, AutomationFacts]:
        self._check_reach()
        return {facts.name: facts for facts in self.store.automations.values()}

    async def set_paused(
        self, name: str, *, paused: bool, reason: str | None, caller: Caller, at: datetime
    ) -> AutomationFacts:
        why, when = values.maybe_text(reason), values.instant(at)
        action = "automation.paused" if paused else "automation.resumed"

        def work() -> AutomationFacts:
            cancelled: list[str] = []
            known = self.store.automations.get(name) or AutomationFacts(name=name)
            if paused:
                rule = f"paused: {why}" if why else "paused"
                cancelled = self._cancel_pending(name, rule, at)
                facts = replace(known, paused=True, paused_reason=why, paused_at=when)
            else:
                facts = replace(
                    known, paused=False, paused_reason=None, paused_at=None, resumed_at=when
                )
            self.store.note(action, name, caller, at, {"reason": why, "cancelled": cancelled})
            self.store.automations.put(name, facts)
            return facts

        return await self._write("set_paused", work)

    async def rotate(self, name: str, *, caller: Caller, at: datetime) -> AutomationFacts:
        def work() -> AutomationFacts:
            known = self.store.automations.get(name) or AutomationFacts(name=name)
            facts = replace(known, rotation=known.rotation + 1)
            self.store.automations.put(name, facts)
            self.store.note("automation.url_rotated", name, caller, at, {})
            return facts

        return await self._write("rotate", work)

    async def fact(self, key: str) -> str | None:
        self._check_reach()
        return self.store.facts.get(key)

    async def set_fact(self, key: str, value: str) -> str:
        def work() -> str:
            stands = self.store.facts.get(key)
            if stands is not None:
                return stands
            self.store.facts.put(key, value)
            return value

        return await self._write("set_fact", work)

    async def set_facts(self, values: Mapping[str, str], *, act: Act) -> None:
        def work() -> None:
            for key, value in values.items():
                if key not in self.store.facts:
                    self.store.facts.put(key, value)
            self.store.note_act(act)

        await self._write("set_facts", work)

    async def audit(
        self, action: str, *, subject: str, caller: Caller, at: datetime, data: Mapping[str, object]
    ) -> None:
        await self._write("audit", lambda: self.store.note(action, subject, caller, at, data))

    async def intend(self, intent: Intent) -> None:
        kept = replace(intent, at=values.instant(intent.at), data=values.mapping(intent.data))
        await self._write("intend", lambda: self.store.intents.put(intent.id, kept))

    async def intents(self) -> Sequence[Intent]:
        self._check_reach()
        return sorted(self.store.intents.values(), key=lambda each: (each.at, each.id))

    async def settle(self, id: str, *, data: Mapping[str, object] | None) -> bool:
        def work() -> bool:
            made = self.store.intents.get(id)
            if made is None:
                return False
            self.store.intents.remove(id)
            if data is not None:
                self.store.note(made.action, made.subject, made.caller, made.at, data)
            return True

        return await self._write("settle", work)


class ConditionRows(FailureRows):
    """`ports.ConditionLedger` in memory."""

    async def conditions(self) -> list[Condition]:
        self._check_reach()
        standing = [each for each in self.store.conditions.values() if each.standing]
        return sorted(standing, key=lambda each: (each.since, each.key))

    async def find_condition(self, key: str) -> Condition | None:
        self._check_reach()
        return self.store.conditions.get(key)

    async def rule_on_condition(
        self, key: str, rule: Callable[[Condition | None], Ruling | None]
    ) -> Ruling | None:
        def work() -> Ruling | None:
            ruling = rule(self.store.conditions.get(key))
            if ruling is not None:
                self.store.conditions.put(key, _stored(key, ruling.condition))
                self._owe(ruling.messages)
            return ruling

        return await self._write("rule_on_condition", work)

    async def count_pending(self) -> int:
        self._check_reach()
        return len(self.store.runs.pending)

    async def prove_writable(self, at: datetime) -> None:
        def work() -> None:
            self.store.facts.put("written_at", str(to_millis(at)))

        await self._write("prove_writable", work)


class ArchiveRows(Part):
    """`ports.DefinitionArchive` in memory."""

    async def record_live(self, versions: Sequence[ArchivedDefinition]) -> None:
        def work() -> None:
            for version in versions:
                stored = replace(version, recorded_at=values.instant(version.recorded_at))
                full = (version.kind, version.name, version.hash)
                if full not in self.store.versions:
                    self.store.versions.put(full, stored)
                key = (version.kind, version.name)
                if key not in self.store.live:
                    self.store.live_since.put(key, stored.recorded_at)
                self.store.live.put(key, stored)

        if versions:
            await self._write("record_live", work)

    async def live(self) -> list[ArchivedDefinition]:
        self._check_reach()
        return sorted(self.store.live.values(), key=lambda version: (version.kind, version.name))

    async def live_dates(self, kind: str) -> Mapping[str, LiveDates]:
        self._check_reach()
        return {
            name: LiveDates(created_at=since, updated_at=live.recorded_at)
            for (of, name), since in self.store.live_since.items()
            if of == kind and (live := self.store.live.get((of, name))) is not None
        }

    async def forget_live(self, kind: str, name: str) -> None:
        await self._write("forget_live", lambda: self.store.live.remove((kind, name)))

    async def find_definition(
        self, hash: str, *, kind: str | None = None, name: str | None = None
    ) -> ArchivedDefinition | None:
        self._check_reach()
        same = [
            each
            for each in self.store.versions.values()
            if each.hash == hash and kind in (None, each.kind) and name in (None, each.name)
        ]
        return max(same, key=lambda each: each.recorded_at, default=None)

    async def versions_of(
        self, kind: str, name: str, *, limit: int = 100
    ) -> list[ArchivedDefinition]:
        self._check_reach()
        found = [each for each in self.store.versions.values() if each.kind == kind]
        found = sorted((each for each in found if each.name == name), key=lambda each: each.hash)
        return sorted(found, key=lambda each: each.recorded_at, reverse=True)[:limit]


def _stored(key: str, condition: Condition) -> Condition:
    return replace(
        condition,
        key=key,
        subject=values.text(condition.subject),
        detail=values.maybe_text(condition.detail),
        earlier=tuple(values.text(each) for each in condition.earlier),
        since=values.instant(condition.since),
        alerted_at=values.maybe_instant(condition.alerted_at),
        cleared_at=values.maybe_instant(condition.cleared_at),
    )
