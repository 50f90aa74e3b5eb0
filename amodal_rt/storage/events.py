"""Events, their duplicates and what was refused: `ports.EventLedger`."""

import sqlite3
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Select, insert, or_, select

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.run import RunStatus, Start
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import DEDUP_RETENTION, EventRecord, Receipt, RunRef
from amodal_rt.storage import tables
from amodal_rt.storage.admission import wishes
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import (
    Row,
    event_columns,
    inserting,
    maybe_storable,
    storable,
    to_event,
)
from amodal_rt.storage.writer import driver

# fmt: off
_EVENT_COLUMNS = (
    "id", "type", "source", "subject", "actor", "address", "delivery_id", "depth", "missed",
    "headers", "data", "time", "received_at",
)
# fmt: on
_INSERT_EVENT = inserting(tables.events, _EVENT_COLUMNS)
_in_order = itemgetter(*_EVENT_COLUMNS)
_REMEMBER = (
    "INSERT INTO dedup_keys (endpoint, key, event_id, seen_at) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT DO UPDATE SET event_id = ?3, seen_at = ?4 WHERE seen_at <= ?5"
)
_SEEN = "SELECT event_id FROM dedup_keys WHERE endpoint = ? AND key = ?"
_FORGET = "DELETE FROM dedup_keys WHERE endpoint = ? AND key = ? AND event_id = ?"
_RUNS_OF = "SELECT id, automation, status, reason FROM runs WHERE event_id = ? ORDER BY number"
_COUNT_REJECTION = (
    "INSERT INTO rejection_counts (endpoint, reason, count) VALUES (?, ?, 1)"
    " ON CONFLICT DO UPDATE SET count = count + 1"
)
_KEEP_NEWEST = (
    "DELETE FROM rejections WHERE endpoint = ?1 AND number <="
    " (SELECT number FROM rejections WHERE endpoint = ?1 ORDER BY number DESC LIMIT 1 OFFSET 100)"
)
_RETENTION = to_millis(from_millis(0) + DEDUP_RETENTION)


class EventRows(Part):
    """`ports.EventLedger` over SQLite."""

    async def accept(
        self,
        event: Event,
        *,
        dedup: DedupKey | None,
        starts: Sequence[Start],
        missed: int = 0,
        queue_limit: int,
    ) -> Receipt:
        row, wanted = _in_order(event_columns(event, missed)), wishes(starts)
        keys = _keys(dedup, event)
        queues = any(start.skip is None for start in starts)

        def work(connection: Connection) -> Receipt:
            raw = driver(connection)
            first = _remember(raw, keys) if keys else None
            if first is not None:
                return Receipt(event_id=first, duplicate=True, runs=tuple(_refs(raw, first)))
            if queues and self._admission.is_full(raw, queue_limit):
                raise UnavailableError(
                    f"{queue_limit} runs are pending already",
                    code="queue_full",
                    hint="limits.queue of amodal.json; `ops runs list` shows what waits",
                )
            raw.execute(_INSERT_EVENT, row)
            refs = self._admission.rule(raw, wanted)
            return Receipt(event_id=event.id, duplicate=False, runs=tuple(refs))

        return await self._database.write(work)

    async def reject(self, rejection: Rejection) -> None:
        endpoint, reason = storable(rejection.endpoint), storable(rejection.reason)
        row = insert(tables.rejections).values(
            endpoint=endpoint,
            automation=maybe_storable(rejection.automation),
            reason=reason,
            at=to_millis(rejection.at),
        )

        def work(connection: Connection) -> None:
            connection.execute(row)
            raw = driver(connection)
            raw.execute(_COUNT_REJECTION, (endpoint, reason))
            raw.execute(_KEEP_NEWEST, (endpoint,))

        await self._database.write(work)

    async def find_event(self, event_id: str) -> EventRecord | None:
        query = select(tables.events).where(tables.events.c.id == event_id)
        found = await self._database.read(lambda connection: _records(connection, query))
        return found[0] if found else None

    async def list_events(self, *, limit: int, automation: str | None = None) -> list[EventRecord]:
        events, runs = tables.events.c, tables.runs.c
        query = select(tables.events).order_by(events.number.desc()).limit(limit)
        if automation is not None:
            led_to = select(runs.event_id).where(
                runs.automation == automation, runs.event_id.is_not(None)
            )
            query = query.where(or_(events.address == automation, events.id.in_(led_to)))
        return await self._database.read(lambda connection: _records(connection, query))

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


_Key = tuple[str, str, str, int, int]
"""Endpoint, key, the event that has it, when, and the age at which another may take it."""


def _keys(dedup: DedupKey | None, event: Event) -> list[_Key]:
    if dedup is None:
        return []
    endpoint, seen_at = storable(dedup.endpoint), to_millis(event.received_at)
    # A key that is named twice would make the event a duplicate of itself.
    return [
        (endpoint, storable(key), event.id, seen_at, seen_at - _RETENTION)
        for key in dict.fromkeys(dedup.keys)
    ]


def _remember(raw: sqlite3.Connection, keys: Sequence[_Key]) -> str | None:
    """Take all keys, or none and name the event that has one of them."""
    for count, key in enumerate(keys):
        if raw.execute(_REMEMBER, key).rowcount == 0:
            raw.executemany(_FORGET, [taken[:3] for taken in keys[:count]])
            return str(raw.execute(_SEEN, key[:2]).fetchone()[0])
    return None


def _refs(raw: sqlite3.Connection, event_id: str) -> Iterable[RunRef]:
    for run_id, automation, status, reason in raw.execute(_RUNS_OF, (event_id,)):
        yield RunRef(run_id=run_id, automation=automation, status=RunStatus(status), reason=reason)


def _records(connection: Connection, query: Select[Any]) -> list[EventRecord]:
    raw = driver(connection)

    def record(row: Row) -> EventRecord:
        return EventRecord(
            event=to_event(row), missed=row["missed"], runs=tuple(_refs(raw, row["id"]))
        )

    return [record(row) for row in connection.execute(query).mappings().all()]
