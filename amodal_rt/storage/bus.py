"""Events that wait to be matched: `ports.BusLedger`."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, select, text

from amodal_rt.domain.event import Event
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import SkippedReason, Start
from amodal_rt.errors import NotFoundError
from amodal_rt.ports import Act, RunRef
from amodal_rt.storage import emission, journal, sealing, tables
from amodal_rt.storage.admission import Wish, wishes
from amodal_rt.storage.dialect import Raw, driver
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import to_event

_MATCH = "UPDATE events SET unmatched = 0, missed = missed + ?1 WHERE id = ?2 AND unmatched = 1"
_IS_THERE = "SELECT 1 FROM events WHERE id = ?"
_CAME_OF_IT = (
    "SELECT id FROM runs WHERE event_id = ? AND automation = ?"  # noqa: S608  a constant
    f" AND {tables.NOT_SKIPPED} ORDER BY number LIMIT 1"
)


class BusRows(Part):
    """`ports.BusLedger` over a database."""

    async def emit(
        self,
        event: Event,
        *,
        step: str | None = None,
        parent: str | None = None,
        attempt: int = 1,
        term: int | None = None,
    ) -> bool:
        told = {"event_id": event.id, "type": event.type}

        def work(connection: Connection) -> bool:
            if term is not None:
                journal.require_held(connection, event.cause or "", term)
            if emission.store(driver(connection), [event]) == 0:
                return False
            if step is not None:
                journal.append(
                    connection,
                    event.cause or "",
                    EntryType.EVENT_EMITTED,
                    at=event.received_at,
                    attempt=attempt,
                    step=step,
                    parent=parent,
                    data=told,
                )
            return True

        return await self._database.write(work)

    async def unmatched(self, *, limit: int) -> list[Event]:
        query = (
            select(tables.events)
            .where(text(tables.UNMATCHED))
            .order_by(tables.events.c.number)
            .limit(limit)
        )

        def work(connection: Connection) -> list[Event]:
            return [to_event(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def match(
        self, event_id: str, *, starts: Sequence[Start], missed: int
    ) -> list[RunRef] | None:
        wanted = wishes(starts)

        def work(connection: Connection) -> list[RunRef] | None:
            raw = driver(connection)
            if raw.execute(_MATCH, (missed, event_id)).rowcount == 0:
                return None
            return self._admission.rule(raw, wanted)

        return await self._database.write(work)

    async def replay(
        self, event_id: str, *, starts: Sequence[Start], act: Act | None = None
    ) -> list[RunRef]:
        wanted = wishes(starts)

        def work(connection: Connection) -> list[RunRef]:
            raw = driver(connection)
            if raw.execute(_IS_THERE, (event_id,)).fetchone() is None:
                raise NotFoundError(f"no event {event_id}", code="event_not_found")
            # Matched later too, it would start all of this once more.
            raw.execute(_MATCH, (0, event_id))
            sealing.note_act(raw, act)
            return self._admission.rule(raw, [_once(raw, event_id, each) for each in wanted])

        return await self._database.write(work)


def _once(raw: Raw, event_id: str, wish: Wish) -> Wish:
    """The wish, ruled out when its automation has a run of the event."""
    start = wish.start
    found = raw.execute(_CAME_OF_IT, (event_id, start.automation)).fetchone()
    if found is None or start.skip is not None:
        return wish
    known = replace(start, skip=SkippedReason.DUPLICATE, rule=f"the event started {found[0]}")
    return wish._replace(start=known)
