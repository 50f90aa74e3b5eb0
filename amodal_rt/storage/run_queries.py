"""Questions about runs: the reading half of `ports.RunLedger`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    text,
)

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.run import Run, RunStatus, SkippedReason, Start
from amodal_rt.ports import IDEMPOTENT_FOR, KeptValue, Previous, RunFilter
from amodal_rt.storage import tables
from amodal_rt.storage.admission import Admission, wishes
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import Row, storable, to_run

_RUNS = tables.runs.c
# Jumps from name to name along the index: a million runs of ten automations are ten steps.
_LAST_RUNS = text(
    f"""
    WITH RECURSIVE names(name) AS (
        SELECT MIN(automation) FROM runs WHERE {tables.NOT_SKIPPED}
        UNION ALL
        SELECT (SELECT MIN(automation) FROM runs WHERE {tables.NOT_SKIPPED} AND automation > name)
        FROM names WHERE name IS NOT NULL
    )
    SELECT runs.* FROM names JOIN runs ON runs.number = (
        SELECT MAX(number) FROM runs WHERE {tables.NOT_SKIPPED} AND automation = name
    )
    """  # noqa: S608  a constant
)


class RunQueries(Part):
    """Runs as their rows stand."""

    async def find_run(self, run_id: str) -> Run | None:
        found = await self._runs(select(tables.runs).where(_RUNS.id == run_id))
        return found[0] if found else None

    async def find_keyed(self, automation: str, key: str, *, now: datetime) -> Run | None:
        query = (
            select(tables.runs)
            .where(
                _RUNS.automation == automation,
                _RUNS.idempotency_key == storable(key),
                text(tables.IDEMPOTENT),
                _RUNS.created_at > to_millis(now - IDEMPOTENT_FOR),
            )
            .order_by(_RUNS.created_at)
            .limit(1)
        )
        found = await self._runs(query)
        return found[0] if found else None

    async def foretell(self, start: Start) -> tuple[SkippedReason, str | None] | None:
        wanted = wishes([start])

        def work(connection: Connection) -> tuple[SkippedReason, str | None] | None:
            # A sitting of its own: what the writer's thread knows by heart is not for readers.
            return Admission().sit(driver(connection), wanted).foretell(start)

        return await self._database.read(work)

    async def list_runs(self, wanted: RunFilter) -> list[Run]:
        upwards = wanted.newer_than is not None
        order = _RUNS.number.asc() if upwards else _RUNS.number.desc()
        query = select(tables.runs).order_by(order).limit(wanted.limit)
        if wanted.older_than is not None:
            query = query.where(_RUNS.number < _number(wanted.older_than))
        if wanted.newer_than is not None:
            query = query.where(_RUNS.number > _number(wanted.newer_than))
        if wanted.without is not None:
            query = query.where(_RUNS.status != wanted.without.value)
        if wanted.automation is not None:
            query = query.where(_RUNS.automation == wanted.automation)
        if wanted.status is not None:
            query = query.where(_RUNS.status == wanted.status.value)
        if wanted.reason is not None:
            query = query.where(_RUNS.reason == wanted.reason)
        if wanted.event_id is not None:
            query = query.where(_RUNS.event_id == wanted.event_id)
        if wanted.since is not None:
            query = query.where(_RUNS.created_at >= to_millis(wanted.since))
        if wanted.at is not None:
            query = query.where(_covers(wanted.at))
        found = await self._runs(query)
        return found[::-1] if upwards else found

    async def last_runs(self) -> Mapping[str, Run]:
        def work(connection: Connection) -> Mapping[str, Run]:
            rows = connection.execute(_LAST_RUNS).mappings()
            return {row["automation"]: to_run(row) for row in rows}

        return await self._database.read(work)

    async def recent_ends(
        self, automations: Sequence[str], *, limit: int
    ) -> Mapping[str, Sequence[RunStatus]]:
        ends = (RunStatus.COMPLETED.value, RunStatus.FAILED.value)
        query = (
            select(_RUNS.status)
            .where(_RUNS.automation == bindparam("name"), text(tables.NOT_SKIPPED))
            .where(_RUNS.status.in_(ends))
            .order_by(_RUNS.number.desc())
            .limit(limit)
        )

        def work(connection: Connection) -> Mapping[str, Sequence[RunStatus]]:
            # One short walk along the index a name: the newest rows alone are looked at.
            found: dict[str, Sequence[RunStatus]] = {}
            for name in automations:
                statuses = connection.execute(query, {"name": name}).scalars()
                found[name] = [RunStatus(each) for each in statuses]
            return {name: each for name, each in found.items() if each}

        return await self._database.read(work)

    async def previous(self, automation: str, conversation_key: str | None) -> Previous | None:
        query = (
            select(_RUNS.id, _RUNS.result_text, _RUNS.finished_at)
            .where(_RUNS.automation == automation, text(tables.TELLABLE))
            .order_by(_RUNS.finished_at.desc(), _RUNS.number.desc())
            .limit(1)
        )
        if conversation_key is not None:
            query = query.where(_RUNS.conversation_key == conversation_key)

        def work(connection: Connection) -> Previous | None:
            row: Row | None = connection.execute(query).mappings().first()
            if row is None:
                return None
            return Previous(
                run_id=row["id"],
                summary=row["result_text"] or "",
                finished_at=from_millis(row["finished_at"]),
            )

        return await self._database.read(work)

    async def gate_value(self, automation: str) -> KeptValue:
        columns = tables.gate_values.c
        query = select(columns.value, columns.run_id).where(columns.automation == automation)

        def work(connection: Connection) -> KeptValue:
            row: Row | None = connection.execute(query).mappings().first()
            at = from_millis(self._moment(connection))
            if row is None:
                return KeptValue(at=at)
            return KeptValue(at=at, value=row["value"], run_id=row["run_id"])

        return await self._database.read(work)

    async def writes_since(
        self, automation: str, since: datetime, *, until: datetime | None = None
    ) -> int:
        entries = tables.journal.c
        query = (
            select(func.count())
            .select_from(tables.journal)
            .join(tables.runs, _RUNS.id == entries.run_id)
            .where(text(tables.WRITE), entries.at >= to_millis(since))
            .where(_RUNS.automation == automation)
        )
        if until is not None:
            query = query.where(entries.at <= to_millis(until))
        return await self._database.read(lambda connection: connection.execute(query).scalar_one())

    async def _runs(self, query: Select[tuple[object, ...]]) -> list[Run]:
        def work(connection: Connection) -> list[Run]:
            return [to_run(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)


def _number(run_id: str) -> ScalarSelect[int]:
    """The place of a run among all; nothing compares with that of one that is not there."""
    return select(_RUNS.number).where(_RUNS.id == run_id).scalar_subquery()


def _covers(at: datetime) -> ColumnElement[bool]:
    """Whether a run's slots, or its life from creation to finish, touch `at`.

    People name instants by the minute: one without seconds stands for that minute, any
    other for its second.
    """
    start = at.replace(microsecond=0)
    span = timedelta(seconds=1) if start.second else timedelta(minutes=1)
    begin, end = to_millis(start), to_millis(start + span)
    slots = and_(
        _RUNS.scheduled_for < end,
        func.coalesce(_RUNS.scheduled_until, _RUNS.scheduled_for) >= begin,
    )
    # A row that was skipped on arrival has no finish: its life is the instant it was made.
    last = func.coalesce(_RUNS.finished_at, _RUNS.created_at)
    life = and_(_RUNS.created_at < end, or_(text(tables.OPEN), last >= begin))
    return or_(slots, life)
