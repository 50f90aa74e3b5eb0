"""Events, their duplicates and what was refused: `ports.EventLedger`."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, insert, or_, select, update

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.glob import is_glob
from amodal_rt.domain.run import Start
from amodal_rt.ports import Act, EventRecord, Receipt
from amodal_rt.storage import tables
from amodal_rt.storage.acceptance import first_of, offer, refs_of
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import Columns, Row, maybe_storable, storable, to_event

_COUNT_REJECTION = (
    "INSERT INTO rejection_counts (endpoint, reason, count) VALUES (?, ?, ?)"
    " ON CONFLICT (endpoint, reason) DO UPDATE"
    " SET count = rejection_counts.count + excluded.count"
)
_KEEP_NEWEST = (
    "DELETE FROM rejections WHERE endpoint = ?1 AND number <="
    " (SELECT number FROM rejections WHERE endpoint = ?1 ORDER BY number DESC LIMIT 1 OFFSET 100)"
)


def _reword(connection: Connection, known: Rejection, said: Columns) -> bool:
    """Have the newest row that says what is `known` say another thing. False without one."""
    columns = tables.rejections.c
    newest = (
        select(func.max(columns.number))
        .where(columns.endpoint == storable(known.endpoint))
        .where(columns.automation.is_not_distinct_from(maybe_storable(known.automation)))
        .where(columns.reason == storable(known.reason), columns.at == to_millis(known.at))
    )
    number = connection.execute(newest).scalar()
    if number is not None:
        where = columns.number == number
        connection.execute(update(tables.rejections).where(where).values(**said))
    return number is not None


class EventRows(Part):
    """`ports.EventLedger` over a database."""

    async def accept(
        self,
        event: Event,
        *,
        dedup: DedupKey | None,
        starts: Sequence[Start],
        missed: int = 0,
        queue_limit: int,
        act: Act | None = None,
    ) -> Receipt:
        item = offer(event, dedup, starts, missed=missed, queue_limit=queue_limit, act=act)
        return await self._database.write_together(self._acceptance.accept_all, item)

    async def reject(
        self,
        rejection: Rejection,
        *,
        count: int = 1,
        counted_as: str | None = None,
        instead_of: Rejection | None = None,
    ) -> None:
        endpoint, reason = storable(rejection.endpoint), storable(rejection.reason)
        counted = (endpoint, storable(counted_as or rejection.reason), count)
        said: Columns = {"reason": reason, "at": to_millis(rejection.at)}
        automation = maybe_storable(rejection.automation)
        row = insert(tables.rejections).values(endpoint=endpoint, automation=automation, **said)

        def work(connection: Connection) -> None:
            if instead_of is None or not _reword(connection, instead_of, said):
                connection.execute(row)
            raw = driver(connection)
            raw.execute(_COUNT_REJECTION, counted)
            raw.execute(_KEEP_NEWEST, (endpoint,))

        await self._database.write(work)

    async def find_event(self, event_id: str) -> EventRecord | None:
        query = select(tables.events).where(tables.events.c.id == event_id)
        found = await self._database.read(lambda connection: _records(connection, query))
        return found[0] if found else None

    async def find_first(self, dedup: DedupKey, *, now: datetime) -> EventRecord | None:
        def work(connection: Connection) -> EventRecord | None:
            first = first_of(driver(connection), dedup, to_millis(now))
            query = select(tables.events).where(tables.events.c.id == first)
            found = _records(connection, query) if first else ()
            return found[0] if found else None

        return await self._database.read(work)

    async def list_events(
        self,
        *,
        limit: int,
        automation: str | None = None,
        delivery_id: str | None = None,
        type: str | None = None,
    ) -> list[EventRecord]:
        events, runs = tables.events.c, tables.runs.c
        query = select(tables.events).order_by(events.number.desc()).limit(limit)
        if automation is not None:
            led_to = select(runs.event_id).where(
                runs.automation == automation, runs.event_id.is_not(None)
            )
            query = query.where(or_(events.address == automation, events.id.in_(led_to)))
        if delivery_id is not None:
            query = query.where(events.delivery_id == storable(delivery_id))
        if type is not None and not is_glob(type):
            query = query.where(events.type == storable(type))

        def work(connection: Connection) -> list[EventRecord]:
            if type is None or not is_glob(type):
                return _records(connection, query)
            return _records(connection, query.where(_fits(connection, storable(type))))

        return await self._database.read(work)

    async def list_rejections(self, *, limit: int) -> list[Rejection]:
        query = select(tables.rejections).order_by(tables.rejections.c.number.desc()).limit(limit)

        def work(connection: Connection) -> list[Rejection]:
            return [
                Rejection(
                    endpoint=row["endpoint"],
                    automation=row["automation"],
                    reason=row["reason"],
                    at=from_millis(row["at"]),
                )
                for row in connection.execute(query).mappings()
            ]

        return await self._database.read(work)


def _fits(connection: Connection, glob: str) -> ColumnElement[bool]:
    """Whether an event's type fits `glob`, in which `*` stands for any text."""
    column = tables.events.c.type
    if connection.dialect.name == "sqlite":
        # Its LIKE is blind to case.
        return column.op("GLOB", is_comparison=True)(re.sub(r"[\[?]", r"[\g<0>]", glob))
    return column.like(re.sub(r"[%_\\]", r"\\\g<0>", glob).replace("*", "%"), escape="\\")


def _records(connection: Connection, query: Select[Any]) -> list[EventRecord]:
    raw = driver(connection)

    def record(row: Row) -> EventRecord:
        return EventRecord(
            event=to_event(row), missed=row["missed"], runs=tuple(refs_of(raw, row["id"]))
        )

    return [record(row) for row in connection.execute(query).mappings().all()]
