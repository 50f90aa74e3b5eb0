"""Events in the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.run import Start
from amodal_rt.ports.audit import Act
from amodal_rt.ports.runs import RunRef

DEDUP_PROMISED = timedelta(days=7)
"""For how long a delivery is known again, at least (specification §4.2)."""
DEDUP_RETENTION = DEDUP_PROMISED + timedelta(days=1)
"""How long it is remembered: what comes again after exactly a week, or a little late, is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The ledger's answer to an event. For a duplicate: the first one's event and runs."""

    event_id: str
    duplicate: bool
    runs: tuple[RunRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """A stored event with the runs that it led to. `missed` counts automations that it
    did not match."""

    event: Event
    missed: int
    runs: tuple[RunRef, ...]


class EventLedger(Protocol):
    """Events, their duplicates and what was refused."""

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
        """Store the event and rule on its starts, in one transaction.

        When any key of `dedup` was seen on that endpoint within `DEDUP_RETENTION`, nothing
        is written and the receipt names the first event and its runs. Two concurrent
        deliveries of one key yield one event. Of an event that is new, a start of an automation
        whose key in `dedup.apiece` was seen becomes `skipped/duplicate`; its rule names the event
        that was the first. An event that is new has `act` in the audit trail.
        Raises UnavailableError: `queue_full` when
        `queue_limit` runs are pending, `ledger` when nothing can be made durable.
        """
        ...

    async def reject(
        self,
        rejection: Rejection,
        *,
        count: int = 1,
        counted_as: str | None = None,
        instead_of: Rejection | None = None,
    ) -> None:
        """Remember a refused request; the newest hundred per endpoint are kept. It counts for
        `count` of them, by its reason or by `counted_as`. Of one endpoint and automation it may
        stand `instead_of` one before, in its place, where that is still kept."""
        ...

    async def find_event(self, event_id: str) -> EventRecord | None:
        """One event, or None."""
        ...

    async def find_first(self, dedup: DedupKey, *, now: datetime) -> EventRecord | None:
        """The event that one with these `keys`, received now, would be a duplicate of, or None.
        `apiece` is not asked."""
        ...

    async def list_events(
        self,
        *,
        limit: int,
        automation: str | None = None,
        delivery_id: str | None = None,
        type: str | None = None,
    ) -> list[EventRecord]:
        """Newest first: those that were addressed to `automation` or led to a run of it, those
        that their sender called `delivery_id`, and those of a `type`, in which `*` stands for
        any text."""
        ...

    async def list_rejections(self, *, limit: int) -> list[Rejection]:
        """Newest first."""
        ...
