"""Several ledgers on one database: each fact is ruled on once, whoever asks."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

import ledger_values as given
import postgres_node
import postgres_server

from amodal_rt.clock import SystemClock
from amodal_rt.domain.run import RunStatus
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import RunFilter
from amodal_rt.storage.postgres import PostgresLedger

NODES = 3
NOW = given.NOW


@pytest.fixture
def url() -> Iterator[str]:
    with postgres_server.fresh_ledger() as found:
        yield found


@pytest.fixture
async def nodes(url: str) -> AsyncIterator[list[PostgresLedger]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(PostgresLedger(url, clock=SystemClock()))
            for _ in range(NODES)
        ]


async def test_one_key_delivered_to_all_nodes_at_once_is_one_event(
    nodes: list[PostgresLedger],
) -> None:
    keys = [f"k{number}" for number in range(50)]

    receipts = await asyncio.gather(
        *(
            postgres_node.accept(node, key, node=f"n{place}_")
            for key in keys
            for place, node in enumerate(nodes)
        )
    )

    fresh = [receipt for receipt in receipts if not receipt.duplicate]
    assert len(fresh) == len(keys)
    events = await nodes[0].list_events(limit=1000)
    assert len(events) == len(keys)
    assert {receipt.event_id for receipt in receipts} == {record.event.id for record in events}
    assert all(len(record.runs) == 1 for record in events)


async def test_no_run_is_claimed_twice(nodes: list[PostgresLedger]) -> None:
    wishes = [given.start(f"a{number}") for number in range(60)]
    await nodes[0].admit(wishes)

    claimed = await asyncio.gather(
        *(node.claim(limit=5, overall=1000, now=NOW) for node in nodes * 8)
    )

    found = Counter(run.run_id for runs in claimed for run in runs)
    assert found == {wish.run_id: 1 for wish in wishes}


async def test_limits_hold_across_nodes(nodes: list[PostgresLedger]) -> None:
    """Of one automation, and of all together, however many nodes have room."""
    await nodes[0].admit([given.start("narrow", concurrency=2) for _ in range(20)])

    async def claim_everywhere() -> list[str]:
        claimed = await asyncio.gather(
            *(node.claim(limit=20, overall=10, now=NOW) for node in nodes * 3)
        )
        return [run.automation for runs in claimed for run in runs]

    assert await claim_everywhere() == ["narrow"] * 2
    await nodes[1].admit([given.start(f"wide{number}") for number in range(20)])
    assert sorted(await claim_everywhere()) == [f"wide{number}" for number in range(8)]
    listed = await nodes[2].list_runs(RunFilter(status=RunStatus.RUNNING, limit=1000))
    assert len(listed) == 10


async def test_a_slot_is_taken_once(nodes: list[PostgresLedger]) -> None:
    slots = [NOW + timedelta(minutes=number) for number in range(40)]

    refs = await asyncio.gather(
        *(node.admit([given.slot(slot, concurrency=1000) for slot in slots]) for node in nodes)
    )

    assert sum(map(len, refs)) == len(slots)
    runs = await nodes[0].list_runs(RunFilter(limit=1000))
    assert Counter(run.scheduled_for for run in runs) == dict.fromkeys(slots, 1)


async def test_the_queue_is_bounded_for_all_nodes_together(nodes: list[PostgresLedger]) -> None:
    async def attempt(number: int) -> str:
        try:
            node = nodes[number % NODES]
            await postgres_node.accept(node, f"k{number}", queue_limit=25)
        except UnavailableError as refusal:
            return refusal.code
        return "accepted"

    answers = await asyncio.gather(*(attempt(number) for number in range(90)))

    assert Counter(answers) == {"accepted": 25, "queue_full": 65}


async def test_what_one_node_wrote_every_other_reads_at_once(nodes: list[PostgresLedger]) -> None:
    for number in range(30):
        await postgres_node.accept(nodes[number % NODES], f"k{number}")
        for node in nodes:
            assert await node.find_event(f"evt_k{number}") is not None


async def test_rows_stand_in_the_order_in_which_they_were_acknowledged(
    nodes: list[PostgresLedger],
) -> None:
    """Across nodes too: oldest first must not depend on who wrote."""
    for number in range(30):
        await nodes[number % NODES].admit([given.start("one", run_id=f"run_{number:02}")])

    claimed = await nodes[0].claim(limit=1, overall=1000, now=NOW)
    listed = await nodes[1].list_runs(RunFilter(limit=1000))

    assert [run.run_id for run in claimed] == ["run_00"]
    assert [run.run_id for run in listed] == [f"run_{29 - number:02}" for number in range(30)]
    assert sum(run.status is RunStatus.RUNNING for run in listed) == 1
