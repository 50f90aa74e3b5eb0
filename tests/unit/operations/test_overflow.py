"""What a full queue refused is told with few rows, and no commit for each."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from amodal_rt.domain.event import Event, Rejection
from amodal_rt.operations.overflow import LONGEST_PAUSE, Overflow
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger import MemoryLedger

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Scene:
    """Requests that come while the queue is full."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.ledger = MemoryLedger(clock=self.clock)
        self.overflow = Overflow(self.ledger, clock=self.clock)

    def refuse(self, times: int, endpoint: str = "hook", address: str | None = "look") -> None:
        event = Event(
            id="evt_1", type="t", source="s", data=None, time=NOW, received_at=NOW, address=address
        )
        for _ in range(times):
            self.overflow.note(endpoint, event)

    def counted(self) -> int:
        return self.ledger.store.rejected.get(("hook", "queue_full")) or 0

    async def said(self) -> list[tuple[str, str | None, str]]:
        found: list[Rejection] = await self.ledger.list_rejections(limit=100)
        return [(each.endpoint, each.automation, each.reason) for each in reversed(found)]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    running = asyncio.create_task(made.overflow.run())
    await made.clock.settle()
    yield made
    running.cancel()
    await asyncio.wait([running])


async def test_the_first_is_on_record_at_once_and_the_others_in_few_commits_and_one_row_a_minute(
    scene: Scene,
) -> None:
    scene.refuse(1)
    await scene.clock.settle()
    first = await scene.said()
    known, kinds = [1], set[tuple[tuple[str, str | None, str], ...]]()
    for _ in range(60):
        scene.refuse(10)
        await scene.clock.advance(1)
        known.append(scene.counted())
        kinds.add(tuple(await scene.said()))

    assert first == [("hook", "look", "queue_full")]
    assert all(1 + 10 * second - count <= 100 for second, count in enumerate(known))
    assert len(kinds) <= 10
    assert len(await scene.said()) == 1
    for _ in range(2):
        scene.refuse(1)
        await scene.clock.advance(LONGEST_PAUSE)
    assert len(await scene.said()) == 2
    assert scene.counted() == 603


async def test_a_spell_that_begins_anew_is_on_record_at_once(scene: Scene) -> None:
    for _ in range(3):
        scene.refuse(1)
        await scene.clock.settle()
        before = scene.counted()
        await scene.clock.advance(2 * LONGEST_PAUSE)
        assert scene.counted() == before

    assert scene.counted() == 3


async def test_each_door_has_its_own_row(scene: Scene) -> None:
    scene.refuse(2)
    scene.refuse(3, endpoint="github", address=None)
    await scene.clock.settle()

    assert await scene.said() == [
        ("hook", "look", "queue_full: 2 requests since 2026-03-02T09:00:00Z"),
        ("github", None, "queue_full: 3 requests since 2026-03-02T09:00:00Z"),
    ]


async def test_all_are_counted_under_one_word(scene: Scene) -> None:
    """Counts are kept for ever: a text of its own for each minute would pile up there."""
    scene.refuse(5)
    await scene.clock.settle()
    scene.refuse(7)
    await scene.clock.advance(60)

    assert scene.counted() == 12


async def test_what_the_ledger_does_not_take_is_kept_for_the_next_minute(scene: Scene) -> None:
    scene.ledger.faults.away = True
    scene.refuse(2)
    await scene.clock.advance(30)
    scene.ledger.faults.away = False
    scene.refuse(3)
    await scene.clock.advance(60)

    assert await scene.said() == [
        ("hook", "look", "queue_full: 5 requests since 2026-03-02T09:00:00Z")
    ]
