"""What waits for the limit on all runs together: `ports.RunLedger.held_back` and `expire`."""

from datetime import datetime

import ledger_values as given
from ledger_values import MINUTE, NOW, status_of

from amodal_rt.domain.run import RunStatus
from amodal_rt.ports import Ledger


async def test_held_back_is_what_only_the_global_limit_keeps_from_its_start(
    ledger: Ledger,
) -> None:
    await given.running(ledger, "full", concurrency=1)
    await given.running(ledger, "talk", conversation_key="k")
    await given.running(ledger, "busy")
    full, spoken = given.start("full", concurrency=1), given.start("talk", conversation_key="k")
    queue = [given.start("queue", concurrency=2) for _ in range(700)]
    last = given.start("last")
    await ledger.admit([full, spoken, *queue, last])

    in_turn = [queue[0].run_id, last.run_id, queue[1].run_id]
    for overall, free in ((3, 0), (4, 1), (5, 2), (6, 3)):
        refs = await ledger.held_back(overall=overall, now=NOW)

        oldest_first = [queue[0].run_id, queue[1].run_id, last.run_id]
        held = [each for each in oldest_first if each in in_turn[free:]]
        assert [ref.run_id for ref in refs] == held
    assert {ref.status for ref in await ledger.held_back(overall=3, now=NOW)} == {"pending"}


async def test_a_limit_that_the_global_one_is_below_holds_nothing_up(ledger: Ledger) -> None:
    await given.running(ledger, "queue", concurrency=2)
    queue = [given.start("queue", concurrency=2) for _ in range(700)]
    await ledger.admit(queue)

    async def held(overall: int) -> list[str]:
        return [ref.run_id for ref in await ledger.held_back(overall=overall, now=NOW)]

    assert await held(3) == []
    assert await held(2) == [each.run_id for each in queue[1:]]
    assert await held(1) == [each.run_id for each in queue]


async def test_what_ever_started_is_not_held_back_but_takes_its_turn(ledger: Ledger) -> None:
    for number in range(4):
        await given.running(ledger, f"busy-{number}")
    retried, requeued = await given.running(ledger, "a"), await given.running(ledger, "a")
    await ledger.finish(
        retried, given.outcome(RunStatus.FAILED), at=NOW, plan=given.nothing, retry_at=NOW + MINUTE
    )
    await ledger.requeue(requeued, at=NOW)
    fresh = [given.start("a", concurrency=3) for _ in range(3)]
    await ledger.admit(fresh)

    async def held(at: datetime) -> list[str]:
        return [ref.run_id for ref in await ledger.held_back(overall=4, now=at)]

    assert await held(NOW) == [fresh[0].run_id, fresh[1].run_id]
    assert await held(NOW + MINUTE) == [fresh[0].run_id]


async def test_what_is_expired_is_skipped_unless_it_started(ledger: Ledger) -> None:
    old, young = given.start("old"), given.start("young")
    running, retried = await given.running(ledger), await given.running(ledger)
    await ledger.requeue(retried, at=NOW)
    await ledger.admit([old, young])

    wanted = [running.run_id, retried.run_id, old.run_id, "run_none"]
    refs = await ledger.expire(wanted, at=NOW)

    assert [(ref.run_id, ref.status, ref.reason) for ref in refs] == [
        (old.run_id, RunStatus.SKIPPED, "global_limit")
    ]
    assert await status_of(ledger, old.run_id) == ("skipped", "global_limit")
    assert await status_of(ledger, young.run_id) == ("pending", None)
    assert await status_of(ledger, retried.run_id) == ("pending", None)
    assert await status_of(ledger, running.run_id) == ("running", None)
    assert await ledger.expire(wanted, at=NOW) == []
