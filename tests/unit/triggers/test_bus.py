"""What waits on the bus is matched once, in order, and never lost."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.event import Event
from amodal_rt.domain.run import RunStatus, SkippedReason, Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import EVENTS, QUEUE_FULL, RUNS_PENDING, Act, AutomationFacts, RunRef
from amodal_rt.settings import Environment
from amodal_rt.testing.clock import FakeClock
from amodal_rt.triggers.bus import LOOK_SECONDS, TRIES, Bus


@dataclass
class Waiting:
    """A ledger of events alone; nodes may share one."""

    events: list[Event] = field(default_factory=list[Event])
    matched: list[tuple[str, list[str]]] = field(default_factory=list[tuple[str, list[str]]])
    pending: int = 0
    away: bool = False
    refuses: set[str] = field(default_factory=set[str])

    async def emit(
        self,
        event: Event,
        *,
        step: str | None = None,
        parent: str | None = None,
        attempt: int = 1,
        term: int | None = None,
    ) -> bool:
        self.events.append(event)
        return True

    async def unmatched(self, *, limit: int) -> list[Event]:
        if self.away:
            raise UnavailableError("the disk is full", code="ledger")
        return self.events[:limit]

    async def match(
        self, event_id: str, *, starts: Sequence[Start], missed: int
    ) -> list[RunRef] | None:
        await asyncio.sleep(0)
        if event_id in self.refuses:
            raise ValueError("cannot be written")
        found = [each for each in self.events if each.id == event_id]
        if not found:
            return None
        self.events.remove(found[0])
        self.matched.append((event_id, [each.automation for each in starts]))
        return [
            RunRef(run_id=each.run_id, automation=each.automation, status=RunStatus.PENDING)
            for each in starts
        ]

    async def replay(
        self, event_id: str, *, starts: Sequence[Start], act: Act | None = None
    ) -> list[RunRef]:
        raise NotImplementedError

    async def automation_facts(self) -> Mapping[str, AutomationFacts]:
        return {}

    async def count_pending(self) -> int:
        return self.pending


@dataclass
class Types:
    """Starts the automation that an event's type names; `skip…` is ruled out, `broken…` breaks."""

    broken: set[str] = field(default_factory=set[str])

    def starts_for(
        self,
        event: Event,
        snapshot: Snapshot,
        facts: Mapping[str, AutomationFacts],
        *,
        now: datetime,
    ) -> tuple[list[Start], int]:
        if event.type in self.broken:
            raise RecursionError(event.type)
        skip = SkippedReason.PAUSED if event.type.startswith("skip") else None
        return [start(event, now, skip)], 0


def start(event: Event, now: datetime, skip: SkippedReason | None) -> Start:
    return Start(
        run_id=f"run_{event.id}",
        automation=event.type,
        title=event.type,
        trigger=TriggerKind.EVENT,
        definition="hash",
        created_at=now,
        concurrency=3,
        on_limit=OnLimit.QUEUE,
        event_id=event.id,
        skip=skip,
    )


class Files:
    def snapshot(self) -> Snapshot:
        return Snapshot(version=1)

    def environment(self) -> Environment:
        return Environment()


@dataclass
class Scene:
    clock: FakeClock = field(default_factory=FakeClock)
    signals: ProcessSignals = field(default_factory=ProcessSignals)
    ledger: Waiting = field(default_factory=Waiting)
    types: Types = field(default_factory=Types)

    def bus(self) -> Bus:
        return Bus(
            ledger=self.ledger,
            catalogue=Files(),
            matching=self.types,
            signals=self.signals,
            clock=self.clock,
        )

    def put(self, *types: str) -> None:
        for each in types:
            count = len(self.ledger.events) + len(self.ledger.matched)
            now = self.clock.now()
            event = Event(
                id=f"evt_{count}", type=each, source="/test", data=None, time=now, received_at=now
            )
            self.ledger.events.append(event)

    @property
    def done(self) -> list[str]:
        return [starts[0] if starts else "" for _, starts in self.ledger.matched]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bus]:
        bus = self.bus()
        task = asyncio.create_task(bus.run())
        await self.clock.settle()
        try:
            yield bus
            assert not task.done(), "the bus ended by itself"
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_what_waited_when_the_daemon_started_is_matched_oldest_first(scene: Scene) -> None:
    scene.put("a.one", "a.two", "a.three")

    async with scene.running():
        assert scene.done == ["a.one", "a.two", "a.three"]


async def test_an_event_is_matched_as_soon_as_somebody_says_so(scene: Scene) -> None:
    async with scene.running():
        scene.put("a.one")
        scene.signals.notify(EVENTS)
        await scene.clock.settle()

        assert scene.done == ["a.one"]


async def test_an_event_of_which_nobody_spoke_is_found_within_seconds(scene: Scene) -> None:
    async with scene.running():
        scene.put("a.one")
        await scene.clock.advance(LOOK_SECONDS)

        assert scene.done == ["a.one"]


async def test_the_engine_is_told_that_something_may_run(scene: Scene) -> None:
    scene.put("a.one")
    with scene.signals.listen(RUNS_PENDING) as told:
        await scene.bus().look()
        await asyncio.wait_for(told(), 10)


async def test_of_two_nodes_one_matches_an_event(scene: Scene) -> None:
    scene.put(*[f"a.{number}" for number in range(250)])

    await asyncio.gather(scene.bus().look(), scene.bus().look())

    assert sorted(scene.done) == sorted(f"a.{number}" for number in range(250))


async def test_a_full_queue_keeps_events_waiting_and_tells_of_it(scene: Scene) -> None:
    scene.ledger.pending = Snapshot(version=1).settings.limits.queue
    scene.put("skip.this", "a.one", "skip.that")
    with scene.signals.listen(QUEUE_FULL) as told:
        await scene.bus().look()
        await asyncio.wait_for(told(), 10)
    assert scene.done == ["skip.this"]

    scene.ledger.pending -= 1
    await scene.bus().look()

    assert scene.done == ["skip.this", "a.one", "skip.that"]


async def test_a_ledger_that_was_away_is_asked_again(scene: Scene) -> None:
    scene.put("a.one")
    scene.ledger.away = True
    async with scene.running() as bus:
        await scene.clock.advance(LOOK_SECONDS * 3)
        assert scene.done == []
        assert bus.looked_at == 0

        scene.ledger.away = False
        await scene.clock.advance(LOOK_SECONDS)

        assert scene.done == ["a.one"]
        assert bus.looked_at == scene.clock.monotonic()


async def test_an_event_that_breaks_the_matching_stops_no_other_and_stays_on_record(
    scene: Scene,
) -> None:
    scene.types.broken = {"bad.one"}
    scene.put("bad.one", "a.one")
    bus = scene.bus()

    await bus.look()
    assert scene.done == ["a.one"]
    for _ in range(TRIES):
        await bus.look()

    assert scene.ledger.events == []
    assert scene.done == ["a.one", ""]


async def test_an_event_whose_starts_cannot_be_written_stops_no_other(scene: Scene) -> None:
    scene.put("a.one", "a.two")
    scene.ledger.refuses = {"evt_0"}
    bus = scene.bus()

    for _ in range(TRIES):
        await bus.look()

    assert scene.done == ["a.two"]
