"""Nodes whose files differ: none destroys or forgets what only another has."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.holding import holdings
from amodal_rt.ports import Ledger, RunFilter
from amodal_rt.testing.ledger import MemoryLedger
from amodal_rt.triggers.cron import ASIDE_SECONDS, TICK_SECONDS
from amodal_rt.triggers.standing import AWAY

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LEASE = timedelta(days=365)
HOURLY = "0 * * * *"
HALF_HOURLY = "*/30 * * * *"
HOURLY_AT_HALF = "30 * * * *"


@dataclass
class Node:
    """A daemon of its own over the ledger of a desk, with files of its own."""

    desk: Any

    @property
    def shelf(self) -> Any:
        return self.desk.shelf

    @property
    def ledger(self) -> MemoryLedger:
        return self.desk.ledger

    @asynccontextmanager
    async def up(self) -> AsyncIterator[None]:
        await self.ledger.hold(holdings(self.shelf.snapshot()))
        await self.ledger.join(host="h", pid=1, version="1", lease=LEASE)
        try:
            async with self.desk.scheduling(tick_seconds=TICK_SECONDS):
                yield
        finally:
            await self.ledger.leave()


def node(desk: Any) -> Node:
    signals = ProcessSignals()
    ledger = MemoryLedger(desk.ledger.store, clock=desk.clock)
    shelf = type(desk.shelf)(signals)
    return Node(replace(desk, ledger=ledger, signals=signals, shelf=shelf))


def hold_up(node: Node, what: str) -> asyncio.Event:
    """Until the event is set, what the node commits under this name is on its way."""
    passed = asyncio.Event()

    async def wait(name: str) -> None:
        if name == what:
            await passed.wait()

    node.ledger.faults.before = wait
    return passed


async def states(ledger: Ledger) -> dict[str, str]:
    return {each.automation: each.fingerprint for each in await ledger.schedule_states()}


async def slots(desk: Any, name: str = "job") -> list[tuple[str, int]]:
    runs = await desk.ledger.list_runs(RunFilter(automation=name, limit=1000))
    found = [(f"{run.scheduled_for:%H:%M}", run.count) for run in runs if run.scheduled_for]
    return sorted(found)


async def test_a_node_does_not_forget_the_schedule_that_only_another_has(desk, make):
    one, other = node(desk), node(desk)
    other.shelf.put(make("job", schedule=HOURLY))
    async with other.up():
        await desk.clock.advance(MINUTE)
        async with one.up():
            await desk.clock.advance(MINUTE)

    assert list(await states(desk.ledger)) == ["job"]


async def test_a_slot_over_which_its_only_node_restarts_is_caught_up(desk, make):
    one, other = node(desk), node(desk)
    other.shelf.put(make("job", schedule=HOURLY))
    async with one.up():
        async with other.up():
            await desk.clock.advance(59 * MINUTE)
        await desk.clock.advance(2 * MINUTE)
        async with other.up():
            await desk.clock.advance(MINUTE)

    assert await slots(desk) == [("10:00", 1)]


async def test_what_no_node_has_any_more_is_forgotten_after_a_while(desk, make):
    one, other = node(desk), node(desk)
    other.shelf.put(make("job", schedule=HOURLY))
    async with other.up():
        await desk.clock.advance(MINUTE)
    async with one.up():
        await desk.clock.advance(AWAY - 2 * MINUTE)
        assert list(await states(desk.ledger)) == ["job"]
        await desk.clock.advance(3 * MINUTE)

    assert await states(desk.ledger) == {}


async def test_of_two_nodes_that_lose_a_file_the_later_one_forgets_it(desk, make):
    one, other = node(desk), node(desk)
    for each in (one, other):
        each.shelf.put(make("job", schedule=HOURLY))
    async with one.up(), other.up():
        await desk.clock.advance(MINUTE)
        one.shelf.take("job")
        await desk.clock.advance(MINUTE)
        assert list(await states(desk.ledger)) == ["job"]
        other.shelf.take("job")
        await desk.clock.advance(MINUTE)

    assert await states(desk.ledger) == {}


async def test_a_schedule_goes_on_after_an_outage_though_a_node_that_is_gone_had_another(
    desk, make
):
    stays, canary = node(desk), node(desk)
    stays.shelf.put(make("job", schedule=HALF_HOURLY, limits={"concurrency": 99}))
    canary.shelf.put(make("job", schedule=HOURLY, limits={"concurrency": 99}))
    async with stays.up():
        await desk.clock.advance(MINUTE)
        async with canary.up():
            await desk.clock.advance(MINUTE)
        stays.ledger.faults.away = True
        await desk.clock.advance(HOUR + 30 * MINUTE)
        stays.ledger.faults.away = False
        await desk.clock.advance(MINUTE)

        assert await slots(desk) == [("09:30", 2), ("10:30", 1)]
        await desk.clock.advance(HOUR)

    assert await slots(desk) == [("09:30", 2), ("10:30", 1), ("11:00", 1), ("11:30", 1)]


async def test_a_schedule_goes_on_after_an_outage_beside_a_node_that_has_another(desk, make):
    stays, canary = node(desk), node(desk)
    stays.shelf.put(make("job", schedule=HALF_HOURLY, limits={"concurrency": 99}))
    canary.shelf.put(make("job", schedule="45 * * * *", limits={"concurrency": 99}))
    async with stays.up():
        await desk.clock.advance(MINUTE)
        async with canary.up():
            before = await states(desk.ledger)
            stays.ledger.faults.away = True
            await desk.clock.advance(HOUR + 30 * MINUTE)
            await canary.ledger.renew(lease=LEASE)
            stays.ledger.faults.away = False
            await desk.clock.advance(HOUR)
            assert await states(desk.ledger) == before

    assert await slots(desk) == [
        ("09:30", 2),
        ("09:45", 1),
        ("10:30", 1),
        ("10:45", 1),
        ("11:00", 1),
        ("11:30", 1),
    ]


async def test_files_that_reach_a_node_after_it_stood_still_count_anew(desk, make):
    """The new schedule stands on record: slots of the old one are slots no more."""
    slow, quick = node(desk), node(desk)
    for each in (slow, quick):
        each.shelf.put(make("job", schedule=HALF_HOURLY))
    async with slow.up(), quick.up():
        await desk.clock.advance(MINUTE)
        quick.shelf.put(make("job", schedule="45 * * * *"))
        slow.ledger.faults.away = True
        await desk.clock.advance(timedelta(minutes=40))
        slow.ledger.faults.away = False
        await desk.clock.advance(TICK_SECONDS)
        slow.shelf.put(make("job", schedule="45 * * * *"))
        await desk.clock.advance(timedelta(minutes=50))

    assert await slots(desk) == [("09:45", 1)]


@pytest.mark.parametrize(
    ("by", "others", "expected"),
    [
        (HALF_HOURLY, "none", [("09:30", 4)]),
        (HALF_HOURLY, "last", [("09:30", 3), ("11:00", 1)]),
        # Its stretch begins at the same slot, and says nothing of those between its own.
        (HOURLY_AT_HALF, "none", [("09:30", 2), ("10:00", 3)]),
    ],
    ids=["the same version", "another version of it", "another schedule"],
)
async def test_a_stretch_that_another_node_skipped_before_it_changed_the_schedule_stays_one(
    desk, make, by, others, expected
):
    """The slower node is refused when nothing of its schedule is on record but that row."""
    slow, quick = node(desk), node(desk)
    mine = make("job", schedule=HALF_HOURLY, catchUp={"policy": "none"})
    theirs = make("job", schedule=by, catchUp={"policy": others})
    quick.shelf.put(theirs)
    slow.shelf.past = [theirs]
    slow.shelf.put(mine)
    async with quick.up():
        await desk.clock.advance(MINUTE)
        async with slow.up():
            await desk.clock.advance(MINUTE)
            quick.ledger.faults.away = True
            passed = hold_up(slow, "admit")
            desk.clock.jump(2 * HOUR)
            await desk.clock.advance(TICK_SECONDS)
            quick.ledger.faults.away = False
            await desk.clock.advance(ASIDE_SECONDS + 2 * TICK_SECONDS)
            quick.shelf.put(make("job", schedule="50 4 * * *"))
            await desk.clock.advance(TICK_SECONDS)
            passed.set()
            await desk.clock.advance(MINUTE)

    assert await slots(desk) == expected


async def test_of_two_nodes_that_give_up_a_schedule_one_puts_its_slots_on_record(desk, make):
    slow, quick = node(desk), node(desk)
    was = make("job", schedule=HALF_HOURLY)
    first = node(desk)
    first.shelf.put(was)
    async with first.up():
        await desk.clock.advance(MINUTE)
    await desk.clock.advance(2 * HOUR)
    for each in (slow, quick):
        each.shelf.put(was)
        each.shelf.put(make("job", schedule="50 4 * * *"))
    passed = hold_up(slow, "admit")
    async with slow.up():
        await desk.clock.advance(MINUTE)
        async with quick.up():
            await desk.clock.advance(MINUTE)
            passed.set()
            await desk.clock.advance(MINUTE)

    assert await slots(desk) == [("09:30", 4)]
