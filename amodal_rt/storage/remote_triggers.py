"""What servers watch for us: `ports.RemoteTriggerLedger`."""

from sqlalchemy import Connection, delete, select

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain.remote_trigger import RemoteState, RemoteTrigger
from amodal_rt.storage import tables
from amodal_rt.storage.dialect import upsert
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import Columns, Row, dumped, loaded, maybe_storable, storable

_TRIGGERS = tables.remote_triggers.c


class RemoteTriggerRows(Part):
    """`ports.RemoteTriggerLedger` over a database."""

    async def remote_triggers(self) -> list[RemoteTrigger]:
        query = select(tables.remote_triggers).order_by(_TRIGGERS.automation, _TRIGGERS.key)

        def work(connection: Connection) -> list[RemoteTrigger]:
            return [_to_trigger(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def set_remote_trigger(self, trigger: RemoteTrigger) -> None:
        changed: Columns = {
            "connection": storable(trigger.connection),
            "type": storable(trigger.type),
            "params": dumped(dict(trigger.params)),
            "digest": trigger.digest,
            "state": trigger.state.value,
            "configured_at": to_millis(trigger.configured_at),
            "error": maybe_storable(trigger.error),
        }
        row = upsert(tables.remote_triggers).values(
            automation=trigger.automation, key=trigger.key, **changed
        )
        statement = row.on_conflict_do_update(index_elements=["automation", "key"], set_=changed)

        def work(connection: Connection) -> None:
            connection.execute(statement)

        await self._database.write(work)

    async def remove_remote_trigger(self, automation: str, key: str) -> None:
        statement = delete(tables.remote_triggers).where(
            _TRIGGERS.automation == automation, _TRIGGERS.key == key
        )

        def work(connection: Connection) -> None:
            connection.execute(statement)

        await self._database.write(work)


def _to_trigger(row: Row) -> RemoteTrigger:
    return RemoteTrigger(
        automation=row["automation"],
        key=row["key"],
        connection=row["connection"],
        type=row["type"],
        params=loaded(row["params"]),
        digest=row["digest"],
        state=RemoteState(row["state"]),
        configured_at=from_millis(row["configured_at"]),
        error=row["error"],
    )
