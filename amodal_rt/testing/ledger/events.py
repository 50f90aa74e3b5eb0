"""Events, their duplicates and what was refused: `ports.EventLedger`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.glob import fits
from amodal_rt.domain.run import SkippedReason, Start
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import DEDUP_RETENTION, Act, EventRecord, Receipt
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.admission import admit
from amodal_rt.testing.ledger.part import Part
from amodal_rt.testing.ledger.store import EventRow

_KEPT = 100


class EventRows(Part):
    """`ports.EventLedger` in memory."""

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
        def work() -> Receipt:
            first = self._first(event.received_at, dedup)
            if first is not None:
                runs = self.store.refs_of(first)
                return Receipt(event_id=first, duplicate=True, runs=runs)
            wanted = [self._told_apiece(event, start, dedup) for start in starts]
            queues = any(start.skip is None for start in wanted)
            if queues and len(self.store.runs.pending) >= queue_limit:
                raise _full(queue_limit)
            self.store.events.put(event.id, EventRow(stored(event), missed))
            for key in _taken(dedup, wanted):
                if self._holder(key, event.received_at) is None:
                    self.store.keys.put(key, (event.id, values.instant(event.received_at)))
            self.store.note_act(act)
            refs = admit(self.store, wanted)
            return Receipt(event_id=event.id, duplicate=False, runs=tuple(refs))

        return await self._write("accept", work)

    async def reject(
        self,
        rejection: Rejection,
        *,
        count: int = 1,
        counted_as: str | None = None,
        instead_of: Rejection | None = None,
    ) -> None:
        stored = replace(
            rejection,
            endpoint=values.text(rejection.endpoint),
            automation=values.maybe_text(rejection.automation),
            reason=values.text(rejection.reason),
            at=values.instant(rejection.at),
        )

        def work() -> None:
            rejections, rejected = self.store.rejections, self.store.rejected
            place = max((n for n in rejections if rejections.get(n) == instead_of), default=None)
            rejections.put(next(self.store.numbers) if place is None else place, stored)
            counted = (stored.endpoint, values.text(counted_as or rejection.reason))
            rejected.put(counted, (rejected.get(counted) or 0) + count)
            mine = [
                number
                for number in rejections
                if (each := rejections.get(number)) and each.endpoint == stored.endpoint
            ]
            for number in mine[:-_KEPT]:
                rejections.remove(number)

        await self._write("reject", work)

    async def find_event(self, event_id: str) -> EventRecord | None:
        self._check_reach()
        row = self.store.events.get(event_id)
        return None if row is None else self._record(row)

    async def find_first(self, dedup: DedupKey, *, now: datetime) -> EventRecord | None:
        first = self._first(now, dedup)
        return await self.find_event(first) if first else None

    async def list_events(
        self,
        *,
        limit: int,
        automation: str | None = None,
        delivery_id: str | None = None,
        type: str | None = None,
    ) -> list[EventRecord]:
        self._check_reach()
        records = (self._record(row) for row in self.store.events.newest())
        found = [
            record
            for record in records
            if (
                automation is None
                or record.event.address == automation
                or any(run.automation == automation for run in record.runs)
            )
            and delivery_id in {None, record.event.delivery_id}
            and (type is None or fits(type, record.event.type))
        ]
        return found[:limit]

    async def list_rejections(self, *, limit: int) -> list[Rejection]:
        self._check_reach()
        return list(self.store.rejections.newest())[:limit]

    def _record(self, row: EventRow) -> EventRecord:
        runs = self.store.refs_of(row.event.id)
        return EventRecord(event=row.event, missed=row.missed, runs=runs)

    def _first(self, received_at: datetime, dedup: DedupKey | None) -> str | None:
        """The event that one received then repeats, or None."""
        if dedup is None:
            return None
        found = (self._holder(_key(dedup.endpoint, key), received_at) for key in dedup.keys)
        return next(filter(None, found), None)

    def _told_apiece(self, event: Event, start: Start, dedup: DedupKey | None) -> Start:
        """The start, ruled out where its automation was told of the event before."""
        known = dedup.apiece.get(start.automation) if dedup else None
        first = self._holder(_key(*known), event.received_at) if known else None
        if first is None:
            return start
        return replace(start, skip=SkippedReason.DUPLICATE, rule=f"id: the first is {first}")

    def _holder(self, key: tuple[str, str], received_at: datetime) -> str | None:
        taken = self.store.keys.get(key)
        # Past the retention, another may take the key.
        if taken and taken[1] > values.instant(received_at) - DEDUP_RETENTION:
            return taken[0]
        return None


def _taken(dedup: DedupKey | None, starts: Sequence[Start]) -> list[tuple[str, str]]:
    """The keys that an event with these starts takes, where nobody has them."""
    if dedup is None:
        return []
    apiece = (dedup.apiece.get(start.automation) for start in starts)
    keys = ((dedup.endpoint, key) for key in dedup.keys)
    return [_key(*each) for each in (*keys, *filter(None, apiece))]


def _key(endpoint: str, key: str) -> tuple[str, str]:
    return values.text(endpoint), values.text(key)


def stored(event: Event) -> Event:
    """An event as it is kept."""
    return replace(
        event,
        type=values.text(event.type),
        source=values.text(event.source),
        subject=values.maybe_text(event.subject),
        actor=values.maybe_text(event.actor),
        delivery_id=values.maybe_text(event.delivery_id),
        order=values.maybe_text(event.order),
        data=values.document(event.data),
        headers=dict(event.headers),
        time=values.instant(event.time),
        received_at=values.instant(event.received_at),
    )


def _full(limit: int) -> UnavailableError:
    return UnavailableError(
        f"{limit} runs are pending already",
        code="queue_full",
        hint="limits.queue of amodal.json; `ops runs list` shows what waits",
    )
