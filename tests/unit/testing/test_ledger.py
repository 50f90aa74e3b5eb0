"""What the ledger in memory has beside the promises that the contract suite holds it to."""

from datetime import timedelta

import pytest

from amodal_rt.errors import UnavailableError
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger import MemoryLedger, MemoryStore

HOUR = timedelta(hours=1)


async def join(ledger: MemoryLedger, lease: timedelta = HOUR) -> str:
    return await ledger.join(host="a.example", pid=1, version="1", lease=lease)


async def test_nodes_over_one_store_see_one_ledger() -> None:
    clock, store = FakeClock(), MemoryStore()
    first, second = (MemoryLedger(store, clock=clock) for _ in range(2))

    await first.set_fact("k", "v")

    assert await second.fact("k") == "v"
    assert first.node_id != second.node_id


async def test_a_commit_that_is_told_to_fail_writes_nothing() -> None:
    ledger = MemoryLedger(clock=FakeClock())
    ledger.faults.fail_next()

    with pytest.raises(UnavailableError) as error:
        await ledger.set_fact("k", "v")

    assert error.value.code == "ledger"
    assert await ledger.fact("k") is None
    assert await ledger.set_fact("k", "v") == "v"


async def test_a_commit_whose_answer_is_lost_is_made() -> None:
    ledger = MemoryLedger(clock=FakeClock())
    ledger.faults.lose_next_answer()

    with pytest.raises(UnavailableError):
        await ledger.set_fact("k", "v")

    assert await ledger.fact("k") == "v"


async def test_a_ledger_that_is_away_is_so_for_one_node_alone() -> None:
    clock, store = FakeClock(), MemoryStore()
    first, second = (MemoryLedger(store, clock=clock) for _ in range(2))
    first.faults.away = True

    with pytest.raises(UnavailableError):
        await first.fact("k")
    with pytest.raises(UnavailableError):
        await first.set_fact("k", "v")

    assert await second.set_fact("k", "w") == "w"


async def test_a_crash_may_come_before_or_after_a_commit() -> None:
    ledger = MemoryLedger(clock=FakeClock())

    async def crash(_: str) -> None:
        raise KeyboardInterrupt

    ledger.faults.before = crash
    with pytest.raises(KeyboardInterrupt):
        await ledger.set_fact("before", "v")
    ledger.faults.before, ledger.faults.after = None, crash
    with pytest.raises(KeyboardInterrupt):
        await ledger.set_fact("after", "v")

    assert await ledger.fact("before") is None
    assert await ledger.fact("after") == "v"


@pytest.mark.parametrize("sole", [True, False])
async def test_who_joins_a_ledger_for_one_process_retires_all_others(sole: bool) -> None:
    clock, store = FakeClock(), MemoryStore(sole=sole)
    first, second = (MemoryLedger(store, clock=clock) for _ in range(2))
    await join(first)

    await join(second)

    assert await first.renew(lease=HOUR) is not sole


async def test_a_lease_of_a_ledger_for_one_process_does_not_lapse() -> None:
    clock, store = FakeClock(), MemoryStore(sole=True)
    first, second = (MemoryLedger(store, clock=clock) for _ in range(2))
    await join(first, lease=timedelta(0))

    assert await second.retire_lapsed() == []
