"""Small facts and who changed them: `ports.FactLedger`."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, insert, select

from amodal_rt.clock import to_millis
from amodal_rt.ports import AutomationFacts, Caller
from amodal_rt.storage import tables
from amodal_rt.storage.dialect import upsert
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import Columns, Row, dumped, instant, maybe_storable, storable
from amodal_rt.storage.runs import cancel_pending


class FactRows(Part):
    """`ports.FactLedger` over a database."""

    async def automation_facts(self) -> Mapping[str, AutomationFacts]:
        query = select(tables.automation_facts)

        def work(connection: Connection) -> Mapping[str, AutomationFacts]:
            return {row["name"]: _to_facts(row) for row in connection.execute(query).mappings()}

        return await self._database.read(work)

    async def set_paused(
        self, name: str, *, paused: bool, reason: str | None, caller: Caller, at: datetime
    ) -> AutomationFacts:
        why = maybe_storable(reason)
        changed: Columns = {"paused": 0, "resumed_at": to_millis(at)}
        if paused:
            changed = {"paused": 1, "paused_reason": why, "paused_at": to_millis(at)}
        else:
            changed |= {"paused_reason": None, "paused_at": None}
        action = "automation.paused" if paused else "automation.resumed"

        def work(connection: Connection) -> AutomationFacts:
            cancelled: list[str] = []
            if paused:
                rule = f"paused: {why}" if why else "paused"
                cancelled = cancel_pending(connection, name, rule=rule, at=at)
            note(connection, action, name, caller, at, {"reason": why, "cancelled": cancelled})
            return _change(connection, name, changed)

        return await self._database.write(work)

    async def rotate(self, name: str, *, caller: Caller, at: datetime) -> AutomationFacts:
        columns = tables.automation_facts.c
        row = upsert(tables.automation_facts).values(name=name, rotation=1)
        row = row.on_conflict_do_update(
            index_elements=["name"], set_={"rotation": columns.rotation + 1}
        )

        def work(connection: Connection) -> AutomationFacts:
            connection.execute(row)
            note(connection, "automation.url_rotated", name, caller, at, {})
            return _facts_of(connection, name)

        return await self._database.write(work)

    async def fact(self, key: str) -> str | None:
        query = select(tables.facts.c.value).where(tables.facts.c.key == key)
        return await self._database.read(lambda connection: connection.execute(query).scalar())

    async def set_fact(self, key: str, value: str) -> str:
        row = upsert(tables.facts).values(key=key, value=value).on_conflict_do_nothing()
        query = select(tables.facts.c.value).where(tables.facts.c.key == key)

        def work(connection: Connection) -> str:
            connection.execute(row)
            return connection.execute(query).scalar_one()

        return await self._database.write(work)

    async def audit(
        self, action: str, *, subject: str, caller: Caller, at: datetime, data: Mapping[str, object]
    ) -> None:
        await self._database.write(
            lambda connection: note(connection, action, subject, caller, at, data)
        )


def _change(connection: Connection, name: str, changed: Columns) -> AutomationFacts:
    row = upsert(tables.automation_facts).values(name=name, **changed)
    connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=changed))
    return _facts_of(connection, name)


def _facts_of(connection: Connection, name: str) -> AutomationFacts:
    query = select(tables.automation_facts).where(tables.automation_facts.c.name == name)
    return _to_facts(connection.execute(query).mappings().one())


def note(
    connection: Connection,
    action: str,
    subject: str,
    caller: Caller,
    at: datetime,
    data: Mapping[str, object],
) -> None:
    """Write a row of the audit trail as part of a larger work."""
    connection.execute(
        insert(tables.audit).values(
            at=to_millis(at),
            action=action,
            subject=storable(subject),
            actor=storable(caller.actor),
            door=caller.door,
            data=dumped(dict(data)),
        )
    )


def _to_facts(row: Row) -> AutomationFacts:
    return AutomationFacts(
        name=row["name"],
        paused=bool(row["paused"]),
        paused_reason=row["paused_reason"],
        paused_at=instant(row["paused_at"]),
        resumed_at=instant(row["resumed_at"]),
        rotation=row["rotation"],
    )
