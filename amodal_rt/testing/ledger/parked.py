"""Writes that a person decides on."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

from amodal_rt.domain.chain import digest_of
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.parked import UNSETTLED, Around, Change, ParkedStatus, ParkedWrite, Ruling
from amodal_rt.errors import NotFoundError
from amodal_rt.ports import Caller, ParkedFilter
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.failures import FailureRows
from amodal_rt.testing.ledger.tables import AuditRow

_WAITING = UNSETTLED - {ParkedStatus.PERFORMING}


class ParkedRows(FailureRows):
    """`ports.ParkedLedger` in memory."""

    async def park_write(
        self, write: ParkedWrite, *, data: Mapping[str, object], attempt: int, term: int | None
    ) -> None:
        def work() -> None:
            if term is not None:
                self._require_held(write.run_id, term)
            self._require_run(write.run_id)
            self.store.parked.put(write.write_id, _stored(write))
            self.store.append(
                write.run_id,
                EntryType.WRITE_PARKED,
                at=write.asked_at,
                attempt=attempt,
                step=write.step,
                parent=write.parent,
                data=data,
            )
            caller = Caller(actor=write.automation, door="run")
            told = {**write.facts, "run_id": write.run_id, "rule": write.rule}
            told["digest"] = _digest(_stored(write))
            self._note_parked("write.parked", write, caller, write.asked_at, told)

        await self._write("park_write", work)

    async def find_parked(self, write_id: str) -> ParkedWrite | None:
        self._check_reach()
        return self.store.parked.get(write_id)

    async def list_parked(self, wanted: ParkedFilter) -> list[ParkedWrite]:
        self._check_reach()
        found = [each for each in self.store.parked.newest() if _is_wanted(each, wanted)]
        return found[: wanted.limit]

    async def next_expiry(self) -> datetime | None:
        self._check_reach()
        waiting = (each for each in self.store.parked.values() if each.status in _WAITING)
        return min((each.expires_at for each in waiting), default=None)

    async def count_parked(
        self, automation: str | None = None
    ) -> Mapping[str, Sequence[tuple[ParkedStatus, bool, int]]]:
        self._check_reach()
        counts = Counter(
            (each.automation, each.status.value, each.original is not None)
            for each in self.store.parked.values()
            if automation in (None, each.automation)
        )
        found: dict[str, list[tuple[ParkedStatus, bool, int]]] = {}
        for (name, status, edited), count in sorted(counts.items()):
            found.setdefault(name, []).append((ParkedStatus(status), edited, count))
        return found

    async def lost_parked(self, known: Collection[str]) -> list[ParkedWrite]:
        self._check_reach()
        return [
            each
            for each in self.store.parked.values()
            if each.status is ParkedStatus.PERFORMING
            and self._is_orphaned(each.node, self._node, each.write_id, known)
        ]

    async def rule_on_parked(
        self, write_id: str, rule: Ruling, *, caller: Caller, at: datetime
    ) -> ParkedWrite | None:
        def work() -> ParkedWrite | None:
            write = self.store.parked.get(write_id)
            if write is None:
                raise NotFoundError(f"no parked write {write_id}", code="approval_not_found")
            facts = self.store.automations.get(write.automation)
            paused = facts is not None and facts.paused
            around = Around(paused=paused, misfit=self._misfit(write))
            change = rule(write, around)
            if change is not None:
                self._apply(change, around, caller, at)
            return change.write if change else None

        return await self._write("rule_on_parked", work)

    def _apply(self, change: Change, around: Around, caller: Caller, at: datetime) -> None:
        write = change.write
        self.store.parked.put(write.write_id, _stored(write))
        row = self.store.runs.get(write.run_id)
        if row is not None and change.entry is not None:
            self.store.append(
                write.run_id,
                change.entry,
                at=at,
                attempt=row.run.attempt,
                step=write.step,
                parent=write.parent,
                data=change.data,
            )
        self._owe(change.messages)
        if change.action is None:
            return
        told = {**change.data, "run_id": write.run_id, "automation": write.automation}
        told["digest"] = "altered" if around.misfit else _digest(_stored(write))
        self._note_parked(change.action, write, caller, at, told)

    def _misfit(self, write: ParkedWrite) -> str | None:
        told = [each for each in self.store.audit.values() if each.subject == write.write_id]
        if not told:
            return "the audit trail does not know it"
        data = cast("Mapping[str, object]", told[-1].data)
        if data["digest"] == _digest(write):
            return None
        return f"its row was changed after {told[-1].action}, of which the audit trail tells"

    def _note_parked(
        self,
        action: str,
        write: ParkedWrite,
        caller: Caller,
        at: datetime,
        data: Mapping[str, object],
    ) -> None:
        row = AuditRow(
            at=values.instant(at),
            action=action,
            subject=write.write_id,
            actor=values.text(caller.actor),
            door=caller.door,
            data=values.mapping(data),
        )
        self.store.audit.put(next(self.store.numbers), row)


def _digest(write: ParkedWrite) -> str:
    return digest_of(repr(replace(write, told=False, links=())))


def _is_wanted(write: ParkedWrite, wanted: ParkedFilter) -> bool:
    late = wanted.expired_by is None or (
        write.status in _WAITING and write.expires_at <= values.instant(wanted.expired_by)
    )
    return (
        late
        and wanted.automation in (None, write.automation)
        and wanted.run_id in (None, write.run_id)
        and (not wanted.statuses or write.status in wanted.statuses)
    )


def _stored(write: ParkedWrite) -> ParkedWrite:
    verdict = write.verdict
    return replace(
        write,
        call=values.mapping(write.call),
        original=values.mapping(write.original) if write.original is not None else None,
        outcome=values.mapping(write.outcome),
        asked_at=values.instant(write.asked_at),
        expires_at=values.instant(write.expires_at),
        begun_at=values.maybe_instant(write.begun_at),
        finished_at=values.maybe_instant(write.finished_at),
        verdict=replace(verdict, at=values.instant(verdict.at)) if verdict else None,
    )
