"""Typed collections that outlive a run: `ports.StoreLedger`."""

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.journal import EntryType
from amodal_rt.errors import NotFoundError
from amodal_rt.ports import StoreItem
from amodal_rt.storage import journal, tables
from amodal_rt.storage.dialect import upsert
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import Columns, Row, dumped, loaded, millis, storable


class StoreRows(Part):
    """`ports.StoreLedger` over a database."""

    async def put(
        self,
        store: str,
        item: StoreItem,
        *,
        expires_at: datetime | None,
        step: str | None,
        term: int | None = None,
    ) -> None:
        changed: Columns = {
            "value": dumped(item.value),
            "run_id": item.run_id,
            "updated_at": to_millis(item.updated_at),
            "expires_at": millis(expires_at),
        }
        key = storable(item.key)
        row = upsert(tables.store_items).values(store=store, key=key, **changed)
        row = row.on_conflict_do_update(index_elements=["store", "key"], set_=changed)

        def work(connection: Connection) -> None:
            if term is not None and item.run_id is not None:
                journal.require_held(connection, item.run_id, term)
            connection.execute(row)
            if item.run_id is not None:
                journal.append(
                    connection,
                    item.run_id,
                    EntryType.STORE_WRITTEN,
                    at=item.updated_at,
                    attempt=_attempt(connection, item.run_id),
                    step=step,
                    data={"store": store, "key": key},
                )

        await self._database.write(work)

    async def query(
        self,
        store: str,
        *,
        now: datetime,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[StoreItem]:
        columns = tables.store_items.c
        query = (
            select(tables.store_items)
            .where(columns.store == store, _fresh(now))
            .order_by(columns.updated_at.desc(), columns.key)
        )
        if since is not None:
            query = query.where(columns.updated_at >= to_millis(since))
        if not where:
            query = query.limit(limit)

        def work(connection: Connection) -> list[StoreItem]:
            found: list[StoreItem] = []
            for row in connection.execute(query).mappings():
                if len(found) == limit:
                    break
                item = _to_item(row)
                if not where or _has(item.value, where):
                    found.append(item)
            return found

        return await self._database.read(work)

    async def find_item(self, store: str, key: str, *, now: datetime) -> StoreItem | None:
        columns = tables.store_items.c
        query = select(tables.store_items).where(
            columns.store == store, columns.key == storable(key), _fresh(now)
        )

        def work(connection: Connection) -> StoreItem | None:
            row = connection.execute(query).mappings().first()
            return None if row is None else _to_item(row)

        return await self._database.read(work)

    async def remove(
        self,
        store: str,
        key: str,
        *,
        run_id: str,
        at: datetime,
        step: str,
        term: int | None = None,
    ) -> bool:
        columns, stored = tables.store_items.c, storable(key)
        gone = delete(tables.store_items).where(columns.store == store, columns.key == stored)

        def work(connection: Connection) -> bool:
            if term is not None:
                journal.require_held(connection, run_id, term)
            found = connection.execute(gone).rowcount > 0
            journal.append(
                connection,
                run_id,
                EntryType.STORE_WRITTEN,
                at=at,
                attempt=_attempt(connection, run_id),
                step=step,
                data={"store": store, "key": stored, "removed": True},
            )
            return found

        return await self._database.write(work)

    async def count_items(self) -> Mapping[str, int]:
        columns = tables.store_items.c
        query = (
            select(columns.store, func.count())
            .where(_fresh(self._clock.now()))
            .group_by(columns.store)
        )

        def work(connection: Connection) -> Mapping[str, int]:
            return {row[0]: row[1] for row in connection.execute(query)}

        return await self._database.read(work)


def _fresh(now: datetime) -> ColumnElement[bool]:
    expires_at = tables.store_items.c.expires_at
    return or_(expires_at.is_(None), expires_at > to_millis(now))


def _attempt(connection: Connection, run_id: str) -> int:
    columns = tables.runs.c
    found = connection.execute(select(columns.attempt).where(columns.id == run_id)).scalar()
    if found is None:
        raise NotFoundError(f"no run {run_id}", code="run_not_found")
    return found


def _to_item(row: Row) -> StoreItem:
    return StoreItem(
        key=row["key"],
        value=loaded(row["value"]),
        updated_at=from_millis(row["updated_at"]),
        run_id=row["run_id"],
    )


def _has(value: object, where: Mapping[str, object]) -> bool:
    """Whether an object has all of these keys with equal JSON values."""
    if not isinstance(value, dict):
        return False
    document = cast(dict[str, object], value)
    return all(key in document and _same(document[key], where[key]) for key in where)


def _same(one: object, other: object) -> bool:
    """Equality of JSON values: `true` is not 1, though Python says so."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        left, right = cast(dict[str, object], one), cast(dict[str, object], other)
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(one, list) and isinstance(other, list):
        firsts, seconds = cast(list[object], one), cast(list[object], other)
        return len(firsts) == len(seconds) and all(map(_same, firsts, seconds))
    return one == other
