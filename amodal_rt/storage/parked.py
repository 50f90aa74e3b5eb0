"""Writes that a person decides on: `ports.ParkedLedger`."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.parked import (
    Around,
    Change,
    Link,
    ParkedStatus,
    ParkedWrite,
    Ruling,
    Verdict,
)
from amodal_rt.errors import NotFoundError
from amodal_rt.ports import Caller, ParkedFilter
from amodal_rt.storage import failures, journal, parked_proof, tables
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.facts import note
from amodal_rt.storage.parked_table import WAITING
from amodal_rt.storage.part import Part, is_orphaned
from amodal_rt.storage.rows import Columns, Row, dumped, instant, loaded, millis, storable

_WRITES = tables.parked_writes.c
_RUNS = tables.runs.c
_FACTS = tables.automation_facts.c
_TEXTS = (
    "title", "definition", "step", "parent", "label", "surface", "why", "rule", "requester",
    "actor",
)  # fmt: skip


class ParkedRows(Part):
    """`ports.ParkedLedger` over a database."""

    async def park_write(
        self, write: ParkedWrite, *, data: Mapping[str, object], attempt: int, term: int | None
    ) -> None:
        row = insert(tables.parked_writes).values(id=write.write_id, **_columns(write))
        caller = Caller(actor=write.automation, door="run")

        def work(connection: Connection) -> None:
            if term is not None:
                journal.require_held(connection, write.run_id, term)
            elif _attempt(connection, write.run_id) is None:
                raise NotFoundError(f"no run {write.run_id}", code="run_not_found")
            connection.execute(row)
            journal.append(
                connection,
                write.run_id,
                EntryType.WRITE_PARKED,
                at=write.asked_at,
                attempt=attempt,
                step=write.step,
                parent=write.parent,
                data=data,
            )
            told = {**write.facts, "run_id": write.run_id, "rule": write.rule}
            told["digest"] = parked_proof.digest(driver(connection), write.write_id)
            note(connection, "write.parked", write.write_id, caller, write.asked_at, told)

        await self._database.write(work)

    async def find_parked(self, write_id: str) -> ParkedWrite | None:
        return await self._database.read(lambda connection: _find(connection, write_id))

    async def list_parked(self, wanted: ParkedFilter) -> list[ParkedWrite]:
        query = select(tables.parked_writes).order_by(_WRITES.number.desc()).limit(wanted.limit)
        if wanted.automation is not None:
            query = query.where(_WRITES.automation == wanted.automation)
        if wanted.run_id is not None:
            query = query.where(_WRITES.run_id == wanted.run_id)
        if wanted.statuses:
            query = query.where(_WRITES.status.in_(sorted(each.value for each in wanted.statuses)))
        if wanted.expired_by is not None:
            query = query.where(text(WAITING), _WRITES.expires_at <= to_millis(wanted.expired_by))

        def work(connection: Connection) -> list[ParkedWrite]:
            return [_to_write(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def next_expiry(self) -> datetime | None:
        query = select(func.min(_WRITES.expires_at)).where(text(WAITING))

        def work(connection: Connection) -> datetime | None:
            return instant(connection.execute(query).scalar())

        return await self._database.read(work)

    async def count_parked(
        self, automation: str | None = None
    ) -> Mapping[str, Sequence[tuple[ParkedStatus, bool, int]]]:
        key = (_WRITES.automation, _WRITES.status, _WRITES.edited)
        query = select(*key, func.count()).group_by(*key).order_by(*key)
        if automation is not None:
            query = query.where(_WRITES.automation == automation)

        def work(
            connection: Connection,
        ) -> Mapping[str, Sequence[tuple[ParkedStatus, bool, int]]]:
            found: defaultdict[str, list[tuple[ParkedStatus, bool, int]]] = defaultdict(list)
            for name, status, edited, count in connection.execute(query):
                found[name].append((ParkedStatus(status), bool(edited), count))
            return dict(found)

        return await self._database.read(work)

    async def lost_parked(self, known: Collection[str]) -> list[ParkedWrite]:
        query = (
            select(tables.parked_writes)
            .where(
                _WRITES.status == ParkedStatus.PERFORMING.value,
                is_orphaned(_WRITES.node, self._node, _WRITES.id, known),
            )
            .order_by(_WRITES.number)
        )

        def work(connection: Connection) -> list[ParkedWrite]:
            return [_to_write(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def rule_on_parked(
        self, write_id: str, rule: Ruling, *, caller: Caller, at: datetime
    ) -> ParkedWrite | None:
        def work(connection: Connection) -> ParkedWrite | None:
            write = _find(connection, write_id)
            if write is None:
                raise NotFoundError(f"no parked write {write_id}", code="approval_not_found")
            paused = select(_FACTS.paused).where(_FACTS.name == write.automation)
            around = Around(
                paused=bool(connection.execute(paused).scalar()),
                misfit=parked_proof.misfit_of(driver(connection), write_id),
            )
            change = rule(write, around)
            if change is not None:
                _apply(connection, change, around, caller, at)
            return change.write if change else None

        return await self._database.write(work)


def _apply(
    connection: Connection, change: Change, around: Around, caller: Caller, at: datetime
) -> None:
    write = change.write
    connection.execute(
        update(tables.parked_writes).where(_WRITES.id == write.write_id).values(**_columns(write))
    )
    attempt = _attempt(connection, write.run_id) if change.entry else None
    if change.entry is not None and attempt is not None:
        journal.append(
            connection,
            write.run_id,
            change.entry,
            at=at,
            attempt=attempt,
            step=write.step,
            parent=write.parent,
            data=change.data,
        )
    failures.owe(connection, change.messages)
    if change.action is None:
        return
    told = {**change.data, "run_id": write.run_id, "automation": write.automation}
    told["digest"] = (
        parked_proof.ALTERED
        if around.misfit
        else parked_proof.digest(driver(connection), write.write_id)
    )
    note(connection, change.action, write.write_id, caller, at, told)


def _attempt(connection: Connection, run_id: str) -> int | None:
    query = select(_RUNS.attempt).where(_RUNS.id == run_id)
    return connection.execute(query).scalar()


def _find(connection: Connection, write_id: str) -> ParkedWrite | None:
    query = select(tables.parked_writes).where(_WRITES.id == write_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else _to_write(row)


def _columns(write: ParkedWrite) -> Columns:
    texts = {name: getattr(write, name) for name in _TEXTS}
    return {
        "run_id": write.run_id,
        "automation": write.automation,
        "status": write.status.value,
        "edited": int(write.original is not None),
        "expires_at": to_millis(write.expires_at),
        "finished_at": millis(write.finished_at),
        "node": write.node,
        "data": dumped(
            {
                **{name: each and storable(each) for name, each in texts.items()},
                "call": dict(write.call),
                "original": write.original and dict(write.original),
                "outcome": dict(write.outcome),
                "asked_at": to_millis(write.asked_at),
                "begun_at": millis(write.begun_at),
                "review": write.review,
                "approvers": list(write.approvers),
                "sources": list(write.sources),
                "depth": write.depth,
                "verdict": _from_verdict(write.verdict),
                "told": write.told,
                "links": [[each.digest, storable(each.label)] for each in write.links],
            }
        ),
    }


def _from_verdict(verdict: Verdict | None) -> Mapping[str, object] | None:
    if verdict is None:
        return None
    return {
        "approved": verdict.approved,
        "by": storable(verdict.by),
        "door": verdict.door,
        "at": to_millis(verdict.at),
        "note": verdict.note,
        "edited": verdict.edited,
    }


def _to_write(row: Row) -> ParkedWrite:
    data: dict[str, Any] = loaded(row["data"])
    return ParkedWrite(
        write_id=row["id"],
        run_id=row["run_id"],
        automation=row["automation"],
        status=ParkedStatus(row["status"]),
        expires_at=from_millis(row["expires_at"]),
        finished_at=instant(row["finished_at"]),
        node=row["node"],
        **{name: data[name] for name in _TEXTS},
        call=data["call"],
        original=data["original"],
        outcome=data["outcome"],
        asked_at=from_millis(data["asked_at"]),
        begun_at=instant(data["begun_at"]),
        review=data["review"],
        approvers=tuple(data["approvers"]),
        sources=tuple(data["sources"]),
        depth=data["depth"],
        verdict=_to_verdict(data["verdict"]),
        told=data.get("told", False),
        links=tuple(Link(digest=one, label=other) for one, other in data.get("links", ())),
    )


def _to_verdict(data: Mapping[str, Any] | None) -> Verdict | None:
    if data is None:
        return None
    return Verdict(
        approved=data["approved"],
        by=data["by"],
        door=data["door"],
        at=from_millis(data["at"]),
        note=data["note"],
        edited=data["edited"],
    )
