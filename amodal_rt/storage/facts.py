"""Small facts and who changed them: `ports.FactLedger`."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.ports import Act, AutomationFacts, Caller, Intent
from amodal_rt.storage import sealing, tables
from amodal_rt.storage.dialect import driver, upsert
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

    async def set_facts(self, values: Mapping[str, str], *, act: Act) -> None:
        rows = [{"key": key, "value": value} for key, value in values.items()]
        statement = upsert(tables.facts).on_conflict_do_nothing()

        def work(connection: Connection) -> None:
            if rows:
                connection.execute(statement, rows)
            sealing.note_act(driver(connection), act)

        await self._database.write(work)

    async def audit(
        self, action: str, *, subject: str, caller: Caller, at: datetime, data: Mapping[str, object]
    ) -> None:
        await self._database.write(
            lambda connection: note(connection, action, subject, caller, at, data)
        )

    async def intend(self, intent: Intent) -> None:
        row = insert(tables.facts).values(key=_INTENT + intent.id, value=_from_intent(intent))

        def work(connection: Connection) -> None:
            connection.execute(row)

        await self._database.write(work)

    async def intents(self) -> Sequence[Intent]:
        columns = tables.facts.c
        query = select(columns.key, columns.value).where(columns.key.startswith(_INTENT))

        def work(connection: Connection) -> Sequence[Intent]:
            found = [_to_intent(key, value) for key, value in connection.execute(query).all()]
            return sorted(found, key=lambda each: (each.at, each.id))

        return await self._database.read(work)

    async def settle(self, id: str, *, data: Mapping[str, object] | None) -> bool:
        columns = tables.facts.c
        key = _INTENT + id
        gone = delete(tables.facts).where(columns.key == key).returning(columns.value)

        def work(connection: Connection) -> bool:
            value = connection.execute(gone).scalar()
            if value is None:
                return False
            if data is not None:
                made = _to_intent(key, value)
                note(connection, made.action, made.subject, made.caller, made.at, data)
            return True

        return await self._database.write(work)


_INTENT = "intent:"


def _from_intent(intent: Intent) -> str:
    return dumped(
        {
            "action": intent.action,
            "subject": storable(intent.subject),
            "actor": storable(intent.caller.actor),
            "door": intent.caller.door,
            "at": to_millis(intent.at),
            "data": dict(intent.data),
            "file": storable(intent.file),
            "before": intent.before,
            "after": intent.after,
            "place": storable(intent.place),
        }
    )


def _to_intent(key: str, value: str) -> Intent:
    row: dict[str, Any] = json.loads(value)
    return Intent(
        id=key.removeprefix(_INTENT),
        action=row["action"],
        subject=row["subject"],
        caller=Caller(actor=row["actor"], door=row["door"]),
        at=from_millis(row["at"]),
        data=row["data"],
        file=row["file"],
        before=row["before"],
        after=row["after"],
        place=row["place"],
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
    sealing.note(driver(connection), action, subject, caller, at, dict(data))


def _to_facts(row: Row) -> AutomationFacts:
    return AutomationFacts(
        name=row["name"],
        paused=bool(row["paused"]),
        paused_reason=row["paused_reason"],
        paused_at=instant(row["paused_at"]),
        resumed_at=instant(row["resumed_at"]),
        rotation=row["rotation"],
    )
