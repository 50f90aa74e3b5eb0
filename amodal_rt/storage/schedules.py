"""Where schedules stand: `ports.ScheduleLedger`."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select

from amodal_rt.clock import from_millis, to_millis
from amodal_rt.ports import ScheduleState
from amodal_rt.storage import tables
from amodal_rt.storage.bulk import Insert
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import dumped, instant, millis

_STATES = Insert(
    tables.schedule_states,
    ("automation", "key", "fingerprint", "counted_from", "last_slot"),
    rule="ON CONFLICT (automation, key) DO UPDATE SET fingerprint = excluded.fingerprint,"
    " counted_from = excluded.counted_from, last_slot = excluded.last_slot",
)


_ON_RECORD = (
    "SELECT occurrences.automation, occurrences.scheduled_for, runs.scheduled_until"
    " FROM occurrences INNER JOIN runs ON runs.id = occurrences.run_id"
    " WHERE occurrences.automation IN (SELECT value FROM json_each(?))"
    " AND occurrences.scheduled_for > ? AND occurrences.scheduled_for <= ?"
    " ORDER BY occurrences.automation, occurrences.scheduled_for"
)


class ScheduleRows(Part):
    """`ports.ScheduleLedger` over a database."""

    async def schedule_states(self) -> list[ScheduleState]:
        columns = tables.schedule_states.c
        query = select(tables.schedule_states).order_by(columns.automation, columns.key)

        def work(connection: Connection) -> list[ScheduleState]:
            return [
                ScheduleState(
                    automation=row["automation"],
                    key=row["key"],
                    fingerprint=row["fingerprint"],
                    counted_from=from_millis(row["counted_from"]),
                    last_slot=instant(row["last_slot"]),
                )
                for row in connection.execute(query).mappings()
            ]

        return await self._database.read(work)

    async def set_schedule_states(self, states: Sequence[ScheduleState]) -> None:
        rows = [
            (
                state.automation,
                state.key,
                state.fingerprint,
                to_millis(state.counted_from),
                millis(state.last_slot),
            )
            for state in states
        ]

        def work(connection: Connection) -> None:
            _STATES.send(driver(connection), rows)

        if rows:
            await self._database.write(work)

    async def slots_on_record(
        self, after: Mapping[str, datetime], *, until: datetime
    ) -> Mapping[str, Sequence[datetime]]:
        begins = {name: to_millis(instant) for name, instant in after.items()}
        asked = (dumped(sorted(begins)), min(begins.values(), default=0), to_millis(until))

        def work(connection: Connection) -> Mapping[str, Sequence[datetime]]:
            found: dict[str, list[datetime]] = {}
            stretched: set[str] = set()
            for name, slot, last in driver(connection).execute(_ON_RECORD, asked).fetchall():
                if slot <= begins[name]:
                    continue
                found.setdefault(name, []).append(from_millis(slot))
                if last is not None:
                    stretched.add(name)
            return {name: slots for name, slots in found.items() if name not in stretched}

        return await self._database.read(work)

    async def remove_schedules(self, automation: str, keep: Sequence[str] = ()) -> None:
        columns = tables.schedule_states.c
        statement = delete(tables.schedule_states).where(
            columns.automation == automation, columns.key.not_in(list(keep))
        )

        def work(connection: Connection) -> None:
            connection.execute(statement)

        await self._database.write(work)
