"""What is wrong with the workspace as a whole: `ports.ConditionLedger`."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, delete, func, insert, select, text

from amodal_rt import failpoints
from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.condition import Condition, ConditionKind, Ruling
from amodal_rt.storage import failures, tables
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import (
    Columns,
    Row,
    dumped,
    instant,
    loaded,
    maybe_storable,
    millis,
    storable,
)

_CONDITIONS = tables.conditions.c
_FACTS = tables.facts.c
_WRITTEN_AT = "written_at"


class ConditionRows(Part):
    """`ports.ConditionLedger`."""

    async def conditions(self) -> list[Condition]:
        query = select(tables.conditions).where(_CONDITIONS.cleared_at.is_(None))
        query = query.order_by(_CONDITIONS.since, _CONDITIONS.key)

        def work(connection: Connection) -> list[Condition]:
            return [_to_condition(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def find_condition(self, key: str) -> Condition | None:
        return await self._database.read(lambda connection: _find(connection, key))

    async def rule_on_condition(
        self, key: str, rule: Callable[[Condition | None], Ruling | None]
    ) -> Ruling | None:
        def work(connection: Connection) -> Ruling | None:
            ruling = rule(_find(connection, key))
            if ruling is None:
                return None
            failpoints.hit("condition.before_write")
            connection.execute(delete(tables.conditions).where(_CONDITIONS.key == key))
            connection.execute(
                insert(tables.conditions).values(key=key, **_columns(ruling.condition))
            )
            failures.owe(connection, ruling.messages)
            failpoints.hit("condition.after_write")
            return ruling

        return await self._database.write(work)

    async def count_pending(self) -> int:
        query = select(func.count()).select_from(tables.runs).where(text(tables.PENDING))
        return await self._database.read(
            lambda connection: int(connection.execute(query).scalar_one())
        )

    async def prove_writable(self, at: datetime) -> None:
        said = str(to_millis(at))

        def work(connection: Connection) -> None:
            connection.execute(delete(tables.facts).where(_FACTS.key == _WRITTEN_AT))
            connection.execute(insert(tables.facts).values(key=_WRITTEN_AT, value=said))

        await self._database.write(work)


def _find(connection: Connection, key: str) -> Condition | None:
    query = select(tables.conditions).where(_CONDITIONS.key == key)
    row = connection.execute(query).mappings().first()
    return None if row is None else _to_condition(row)


def _columns(condition: Condition) -> Columns:
    return {
        "kind": condition.kind.value,
        "automation": condition.automation,
        "since": to_millis(condition.since),
        "alerted_at": millis(condition.alerted_at),
        "cleared_at": millis(condition.cleared_at),
        "data": dumped(
            {
                "subject": storable(condition.subject),
                "detail": maybe_storable(condition.detail),
                "told": condition.told,
                "unreported": condition.unreported,
                "target": condition.target,
                "seen_by": condition.seen_by,
                "earlier": [storable(each) for each in condition.earlier],
                "more": condition.more,
                "delivery_id": condition.delivery_id,
            }
        ),
    }


def _to_condition(row: Row) -> Condition:
    data = loaded(row["data"])
    return Condition(
        key=row["key"],
        kind=ConditionKind(row["kind"]),
        since=from_millis(row["since"]),
        subject=data["subject"],
        automation=row["automation"],
        detail=data["detail"],
        alerted_at=instant(row["alerted_at"]),
        cleared_at=instant(row["cleared_at"]),
        told=data["told"],
        unreported=data["unreported"],
        target=data["target"],
        seen_by=data["seen_by"],
        # Rows of former versions have none of these.
        earlier=tuple(data.get("earlier", ())),
        more=data.get("more", 0),
        delivery_id=data.get("delivery_id"),
    )
