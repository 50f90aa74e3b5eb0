"""Several nodes over one database, with time in the test's hands."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Self

import pytest

from amodal_rt.daemon.nodes import LEASE, MARGIN_SECONDS, LocalLease, Membership
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import OUTBOX, RUNS_PENDING
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.testing.clock import FakeClock

SECONDS = LEASE.total_seconds()


class SharedLedger(SqliteLedger):
    """A file that several nodes hold at once, as they do a database. `away`: cut off from it."""

    _sole = False
    away = False
    slow: asyncio.Event | None = None
    left_behind = 0

    async def renew(self, *, lease: timedelta) -> bool:
        if self.slow is not None:
            await self.slow.wait()
        self._reach()
        return await super().renew(lease=lease)

    async def join(self, *, host: str, pid: int, version: str, lease: timedelta) -> str:
        self._reach()
        return await super().join(host=host, pid=pid, version=version, lease=lease)

    async def leave(self) -> None:
        self._reach()
        await super().leave()

    async def retire_lapsed(self) -> list[str]:
        self._reach()
        return await super().retire_lapsed()

    async def release_claims(self, *, sending: Collection[str] | None = None) -> int:
        self.left_behind, released = 0, self.left_behind
        return released

    def _reach(self) -> None:
        if self.away:
            raise UnavailableError("the database is away", code="ledger")


class Node:
    """One daemon's membership, and what it asked of its engine."""

    def __init__(self, path: Path, clock: FakeClock, *, shared: bool = True) -> None:
        self.clock = clock
        self.ledger = SharedLedger(path, clock=clock)
        self.lease = LocalLease(clock)
        self.signals = ProcessSignals()
        self.abandoned = self.recovered = self.obeyed = 0
        self.membership = Membership(
            ledger=self.ledger,
            lease=self.lease,
            carries=self,
            signals=self.signals,
            clock=clock,
            shared=shared,
        )

    async def recover(self) -> None:
        self.recovered += len(await self.ledger.take_orphans())

    def abandon(self) -> None:
        self.abandoned += 1

    async def obey_cancels(self) -> None:
        self.obeyed += 1

    async def __aenter__(self) -> Self:
        await self.ledger.open()
        await self.membership.join()
        self._task = asyncio.create_task(self.membership.keep())
        await self.clock.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.ledger.close()

    async def is_living(self) -> dict[str, bool]:
        return {node.node_id: node.gone_at is None for node in await self.ledger.list_nodes()}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def nodes(tmp_path: Path, clock: FakeClock) -> AsyncIterator[list[Node]]:
    path = tmp_path / "ledger.db"
    async with AsyncExitStack() as stack:
        two = [await stack.enter_async_context(Node(path, clock)) for _ in range(2)]
        for each in two:
            clock.settle_with(
                lambda ledger=each.ledger: ledger.remove_remote_trigger("settled", "settled")
            )
        yield two


async def test_nodes_that_renew_live_side_by_side(nodes: list[Node], clock: FakeClock) -> None:
    ids = {each.ledger.node_id for each in nodes}

    await clock.advance(20)

    assert await nodes[0].is_living() == dict.fromkeys(ids, True)
    assert all(each.lease.held() for each in nodes)
    assert sum(each.abandoned for each in nodes) == 0
    assert nodes[0].obeyed > 10


async def test_a_node_stops_to_trust_its_lease_before_others_may_retire_it(
    nodes: list[Node], clock: FakeClock
) -> None:
    cut, other = nodes
    cut.ledger.away = True

    await clock.advance(SECONDS - MARGIN_SECONDS - 1.5)
    assert cut.lease.held()
    assert cut.abandoned == 0
    await clock.advance(1.75)

    assert not cut.lease.held()
    assert cut.abandoned == 1
    assert all((await other.is_living()).values())


async def test_a_node_that_was_cut_off_is_retired_and_begins_a_new_life(
    nodes: list[Node], clock: FakeClock
) -> None:
    cut, other = nodes
    former = cut.ledger.node_id
    cut.ledger.away = True

    await clock.advance(SECONDS + 2)
    assert (await other.is_living())[former] is False
    cut.ledger.away = False
    await clock.advance(2)

    assert cut.ledger.node_id != former
    assert cut.lease.held()
    assert await other.is_living() == {
        former: False,
        cut.ledger.node_id: True,
        other.ledger.node_id: True,
    }
    assert cut.abandoned == 1


async def test_a_short_absence_of_the_database_costs_nothing(
    nodes: list[Node], clock: FakeClock
) -> None:
    ids = [each.ledger.node_id for each in nodes]
    for each in nodes:
        each.ledger.away = True
    await clock.advance(3)
    for each in nodes:
        each.ledger.away = False
    await clock.advance(10)

    assert [each.ledger.node_id for each in nodes] == ids
    assert [each.abandoned for each in nodes] == [0, 0]


async def test_an_answer_that_comes_too_late_brings_no_trust_back(
    nodes: list[Node], clock: FakeClock
) -> None:
    """The lease counts from when it was asked for: by the time of the answer it is over."""
    late, _ = nodes
    late.ledger.slow = asyncio.Event()
    await clock.advance(SECONDS * 2)
    assert late.abandoned == 1

    former = late.ledger.node_id
    late.ledger.slow.set()
    await clock.settle()

    assert not late.lease.held()
    late.ledger.slow = None
    await clock.advance(2)
    assert late.ledger.node_id != former
    assert late.lease.held()


async def test_a_lease_counts_from_when_it_was_asked_for(
    nodes: list[Node], clock: FakeClock
) -> None:
    """An answer that was four seconds under way is good for one second more."""
    slow, _ = nodes
    answer = slow.ledger.slow = asyncio.Event()
    await clock.advance(4)
    slow.ledger.slow = asyncio.Event()
    answer.set()
    await clock.settle()
    assert slow.lease.held()

    await clock.advance(2.5)

    assert not slow.lease.held()
    slow.ledger.slow.set()


async def test_pending_runs_are_looked_for_when_a_node_is_gone(
    nodes: list[Node], clock: FakeClock
) -> None:
    cut, other = nodes
    cut.ledger.away = True
    with other.signals.listen(RUNS_PENDING) as wait:
        waiting = asyncio.ensure_future(wait())

        await clock.advance(SECONDS + 2)

        assert waiting.done()


async def test_who_leaves_is_taken_over_at_once(nodes: list[Node], clock: FakeClock) -> None:
    leaving, other = nodes

    await leaving.membership.leave()

    assert not leaving.lease.held()
    assert (await other.is_living())[leaving.ledger.node_id] is False


async def test_leaving_a_database_that_is_away_is_no_error(nodes: list[Node]) -> None:
    nodes[0].ledger.away = True

    await nodes[0].membership.leave()

    assert not nodes[0].lease.held()


async def test_messages_of_a_node_that_is_gone_are_announced(
    nodes: list[Node], clock: FakeClock
) -> None:
    node = nodes[0]
    node.ledger.left_behind = 1
    with node.signals.listen(OUTBOX) as wait:
        waiting = asyncio.ensure_future(wait())

        await clock.advance(2)

        assert waiting.done()


async def test_a_daemon_that_is_alone_holds_its_lease_for_life(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with Node(tmp_path / "ledger.db", clock, shared=False) as node:
        clock.settle_with(lambda: node.ledger.remove_remote_trigger("settled", "settled"))
        node.ledger.away = True
        await clock.advance(90)

        assert node.lease.held()
        assert node.abandoned == 0
