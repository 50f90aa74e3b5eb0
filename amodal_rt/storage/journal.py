"""The steps of runs: `ports.JournalLedger`."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, select

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.run import RunStatus
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.storage import entries, tables
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import Row, dumped, loaded, maybe_storable

_WAITS = [
    each.value
    for each in (
        EntryType.NODE_WAITING,
        EntryType.NODE_FINISHED,
        EntryType.NODE_FAILED,
        EntryType.APPROVAL_ANSWERED,
    )
]
_HOLDER = "SELECT status, term FROM runs WHERE id = ?"


class JournalRows(Part):
    """`ports.JournalLedger` over a database."""

    async def record(
        self,
        run_id: str,
        type: EntryType,
        *,
        at: datetime,
        attempt: int = 1,
        step: str | None = None,
        parent: str | None = None,
        data: Mapping[str, object] | None = None,
        term: int | None = None,
    ) -> int:
        row = (
            run_id,
            type.value,
            maybe_storable(step),
            maybe_storable(parent),
            attempt,
            to_millis(at),
            dumped(dict(data)) if data else None,
        )

        def work(connection: Connection) -> int:
            if term is not None:
                require_held(connection, run_id, term)
            return entries.append(driver(connection), row)

        return await self._database.write(work)

    async def entries(self, run_id: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        columns = tables.journal.c
        query = (
            select(tables.journal)
            .where(columns.run_id == run_id, columns.sequence > after)
            .order_by(columns.sequence)
            .limit(limit)
        )

        def work(connection: Connection) -> list[Entry]:
            return [_to_entry(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)


def require_held(connection: Connection, run_id: str, term: int) -> None:
    """Raise ConflictError (`fenced`) unless the run is running under `term`, NotFoundError
    when there is none."""
    found = driver(connection).execute(_HOLDER, (run_id,)).fetchone()
    if found is None:
        raise NotFoundError(f"no run {run_id}", code="run_not_found")
    if tuple(found) != (RunStatus.RUNNING.value, term):
        raise ConflictError(f"{run_id} has ended or was taken over by another node", code="fenced")


def append(
    connection: Connection,
    run_id: str,
    type: EntryType,
    *,
    at: datetime,
    attempt: int,
    step: str | None = None,
    parent: str | None = None,
    data: Mapping[str, object],
) -> int:
    """Write an entry as part of a larger work; returns its sequence."""
    text = dumped(dict(data))
    steps = maybe_storable(step), maybe_storable(parent)
    row = (run_id, type.value, *steps, attempt, to_millis(at), text)
    return entries.append(driver(connection), row)


def waits_of(connection: Connection, run_id: str) -> list[Entry]:
    """What a run asked people and what came of it, in order."""
    columns = tables.journal.c
    query = (
        select(tables.journal)
        .where(columns.run_id == run_id, columns.type.in_(_WAITS))
        .order_by(columns.sequence)
    )
    return [_to_entry(row) for row in connection.execute(query).mappings()]


def _to_entry(row: Row) -> Entry:
    return Entry(
        run_id=row["run_id"],
        sequence=row["sequence"],
        type=EntryType(row["type"]),
        at=from_millis(row["at"]),
        attempt=row["attempt"],
        step=row["step"],
        parent=row["parent"],
        data=loaded(row["data"]) or {},
    )
