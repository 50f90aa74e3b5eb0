"""Events from inside become runs: what waits on the bus is matched, oldest first."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from amodal_rt.clock import Clock, first_of
from amodal_rt.domain.event import Event
from amodal_rt.domain.run import Start
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import UnavailableError
from amodal_rt.failpoints import hit
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import (
    EVENTS,
    QUEUE_FULL,
    RUNS_PENDING,
    AutomationFacts,
    BusLedger,
    Catalogue,
    RunRef,
    Signals,
)

LOOK_SECONDS = 5.0
"""How often the bus is looked at without having been woken."""
AT_ONCE = 100
"""How many events are read at a time."""
TRIES = 3
"""How often an event that a defect of ours keeps from being matched is tried."""

_log = Log("bus")


class Matches(Protocol):
    """Which automations an event starts."""

    def starts_for(
        self,
        event: Event,
        snapshot: Snapshot,
        facts: Mapping[str, AutomationFacts],
        *,
        now: datetime,
    ) -> tuple[list[Start], int]:
        """The starts, and how many automations it missed."""
        ...


class WaitingEvents(BusLedger, Protocol):
    """What the bus needs of the ledger."""

    async def automation_facts(self) -> Mapping[str, AutomationFacts]:
        """As `ports.FactLedger`."""
        ...

    async def count_pending(self) -> int:
        """As `ports.ConditionLedger`."""
        ...


class Bus:
    """Matches every event that waits, by the files of the moment.

    The ledger is the truth: what a crash, a full queue or a ledger that is away keeps from
    being matched waits there and is looked at again. Several nodes may look at once; each event
    is matched by one of them.
    """

    def __init__(
        self,
        *,
        ledger: WaitingEvents,
        catalogue: Catalogue,
        matching: Matches,
        signals: Signals,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._matching = matching
        self._signals = signals
        self._clock = clock
        self._failed = Counter[str]()
        self._waits = Spell(_log, clock, event="bus.waits", over="bus.resumed")
        self.looked_at = clock.monotonic()
        """When it last saw the whole bus, by the monotonic clock."""

    async def run(self) -> None:
        """Match what waits, at once when woken and every few seconds, until cancelled."""
        with self._signals.listen(EVENTS) as woken:
            while True:
                try:
                    await self.look()
                    self.looked_at = self._clock.monotonic()
                    self._waits.ended()
                except UnavailableError as error:
                    # Nothing is lost: the events wait in the ledger, and so do we.
                    self._waits.failed(code=error.code, error=error.message)
                # A defect in here must not end the daemon; the heartbeat stops with it.
                except Exception as error:  # noqa: BLE001
                    _log.exception("bus.failed", error)
                await first_of(woken(), self._clock.sleep(LOOK_SECONDS))

    async def look(self) -> int:
        """Match what waits until nothing does, or nothing of it can be; returns how many were.

        Raises UnavailableError.
        """
        count = 0
        while waiting := await self._ledger.unmatched(limit=AT_ONCE):
            facts = await self._ledger.automation_facts()
            before = count
            for event in waiting:
                # The rest waits behind it: of one conversation, the older one comes first.
                if not await self._fits(event, facts):
                    return count
                count += await self._match(event, facts)
            if count == before:
                return count
        return count

    async def _fits(self, event: Event, facts: Mapping[str, AutomationFacts]) -> bool:
        """Whether the queue has room, where there is anything to put into it."""
        limit = self._catalogue.snapshot().settings.limits.queue
        if await self._ledger.count_pending() < limit:
            return True
        starts = self._starts(event, facts)
        if starts is None or all(start.skip is not None for start in starts[0]):
            return True
        _log.warning("bus.queue_full", event_id=event.id, limit=limit)
        self._signals.notify(QUEUE_FULL)
        return False

    async def _match(self, event: Event, facts: Mapping[str, AutomationFacts]) -> bool:
        found = self._starts(event, facts)
        if found is None:
            if self._failed[event.id] < TRIES:
                return False
            # For ever in the way of the others it would stop the bus. It is on record, with no
            # run, and `ops events replay` starts what it should have started.
            found = list[Start](), 0
        starts, missed = found
        hit("bus.before_match")
        try:
            refs = await self._ledger.match(event.id, starts=starts, missed=missed)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - one row that cannot be written stops no other
            self._note(event, error)
            return False
        hit("bus.after_match")
        self._failed.pop(event.id, None)
        if refs is None:
            return True
        if refs:
            self._signals.notify(RUNS_PENDING)
        _told(event, refs)
        return True

    def _starts(
        self, event: Event, facts: Mapping[str, AutomationFacts]
    ) -> tuple[list[Start], int] | None:
        if self._failed[event.id] >= TRIES:
            return None
        try:
            return self._matching.starts_for(
                event, self._catalogue.snapshot(), facts, now=self._clock.now()
            )
        except Exception as error:  # noqa: BLE001 - one event that breaks us stops no other
            self._note(event, error)
            return None

    def _note(self, event: Event, error: BaseException) -> None:
        self._failed[event.id] += 1
        _log.exception("bus.not_matched", error, event_id=event.id, tries=self._failed[event.id])


def _told(event: Event, refs: list[RunRef]) -> None:
    _log.info("event.matched", event_id=event.id, type=event.type, runs=len(refs))
