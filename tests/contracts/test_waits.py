"""What pending runs wait for: `ports.RunLedger.waits`, by the rules that `claim` goes by."""

from datetime import timedelta

import ledger_values as given
from ledger_values import MINUTE, NOW

from amodal_rt.domain.outcome import Waiting
from amodal_rt.domain.run import Coalesce, RunStatus
from amodal_rt.domain.wait import Wait, WaitReason
from amodal_rt.ports import Ledger


async def waits(ledger: Ledger, *run_ids: str, overall: int = 99, **more: object) -> list[Wait]:
    found = await ledger.waits(run_ids, overall=overall, now=NOW, **more)  # pyright: ignore[reportArgumentType]
    return [found[each] for each in run_ids]


async def test_a_run_that_nothing_holds_waits_for_the_next_claim(ledger: Ledger) -> None:
    wish = given.start()
    await ledger.admit([wish])

    assert await waits(ledger, wish.run_id) == [Wait(reason=WaitReason.NEXT)]


async def test_what_is_not_pending_waits_for_nothing(ledger: Ledger) -> None:
    run, done = await given.running(ledger), await given.finished(ledger, "other")

    assert await ledger.waits([run.run_id, done.run_id, "run_x"], overall=9, now=NOW) == {}
    assert await ledger.waits([], overall=9, now=NOW) == {}


async def test_the_limit_on_all_runs_keeps_those_that_no_slot_is_left_for(ledger: Ledger) -> None:
    await given.running(ledger, "a")
    first, second = given.start("b"), given.start("c")
    await ledger.admit([first, second])

    assert await waits(ledger, first.run_id, second.run_id, overall=2) == [
        Wait(reason=WaitReason.NEXT),
        Wait(reason=WaitReason.GLOBAL_LIMIT, limit=2),
    ]


async def test_the_limit_of_its_automation_names_the_runs_that_go_first(ledger: Ledger) -> None:
    running = await given.running(ledger, "a", concurrency=2)
    older, young = given.start("a", concurrency=2), given.start("a", concurrency=2)
    await ledger.admit([older, young, given.start("b")])

    assert await waits(ledger, older.run_id, young.run_id) == [
        Wait(reason=WaitReason.NEXT),
        Wait(reason=WaitReason.CONCURRENCY_LIMIT, runs=(running.run_id, older.run_id), limit=2),
    ]


async def test_of_two_limits_that_which_can_bind_is_named(ledger: Ledger) -> None:
    await given.running(ledger, "a", concurrency=2)
    queue = [given.start("a", concurrency=2) for _ in range(5)]
    await ledger.admit(queue)
    last = queue[-1].run_id

    (below,), (equal,), (above,) = [
        await waits(ledger, last, overall=overall) for overall in (1, 2, 3)
    ]

    assert below == Wait(reason=WaitReason.GLOBAL_LIMIT, limit=1)
    assert equal == Wait(reason=WaitReason.GLOBAL_LIMIT, limit=2)
    assert above.reason is WaitReason.CONCURRENCY_LIMIT


async def test_a_conversation_names_the_one_run_that_goes_first(ledger: Ledger) -> None:
    run = await given.running(ledger, "a", concurrency=9, conversation_key="k", order_key="1")
    later = given.start("a", concurrency=9, conversation_key="k", order_key="3")
    before = given.start("a", concurrency=9, conversation_key="k", order_key="2")
    await ledger.admit([later, before])
    first = Wait(reason=WaitReason.CONVERSATION, runs=(run.run_id,))
    assert await waits(ledger, later.run_id, before.run_id) == [first, first]

    await ledger.finish(run, given.outcome(), at=NOW, plan=given.nothing)

    assert await waits(ledger, before.run_id, later.run_id) == [
        Wait(reason=WaitReason.NEXT),
        Wait(reason=WaitReason.CONVERSATION, runs=(before.run_id,)),
    ]


async def test_a_conversation_waits_for_its_first_though_that_is_not_due(ledger: Ledger) -> None:
    key = {"conversation_key": "k", "concurrency": 9}
    run = await given.running(ledger, "a", order_key="1", **key)
    later = given.start("a", order_key="2", **key)
    await ledger.admit([later])
    failed = given.outcome(RunStatus.FAILED)
    await ledger.finish(run, failed, at=NOW, plan=given.nothing, retry_at=NOW + MINUTE)

    assert await waits(ledger, run.run_id, later.run_id) == [
        Wait(reason=WaitReason.NOT_DUE, until=NOW + MINUTE),
        Wait(reason=WaitReason.CONVERSATION, runs=(run.run_id,)),
    ]


async def test_without_a_place_in_its_conversation_a_run_waits_for_the_older(
    ledger: Ledger,
) -> None:
    key = {"conversation_key": "k", "concurrency": 9}
    older, young = given.start("a", **key), given.start("a", **key)
    await ledger.admit([older, young])

    assert await waits(ledger, older.run_id, young.run_id) == [
        Wait(reason=WaitReason.NEXT),
        Wait(reason=WaitReason.CONVERSATION, runs=(older.run_id,)),
    ]


async def test_what_may_become_one_with_others_waits_until_its_window_ends(ledger: Ledger) -> None:
    rule = Coalesce(key="k", window=timedelta(seconds=40), longest=MINUTE)
    first = given.start("a", coalesce=rule)
    second = given.start("a", coalesce=rule, created_at=NOW + timedelta(seconds=30))
    await ledger.admit([first])
    (early,) = await waits(ledger, first.run_id)
    await ledger.admit([second])
    (late,) = await waits(ledger, second.run_id)

    assert early == Wait(reason=WaitReason.COALESCE, until=NOW + timedelta(seconds=40))
    assert late == Wait(reason=WaitReason.COALESCE, until=NOW + MINUTE)


async def test_what_this_node_cannot_run_and_what_is_parked_say_so(ledger: Ledger) -> None:
    parked = await given.running(ledger, "a")
    await ledger.park(parked, Waiting(reason="awaiting_approval"), at=NOW)
    blocked, rehearsal = given.start("b"), given.start("b", rehearse=True)
    await ledger.admit([blocked, rehearsal])

    def can_run(name: str, rehearse: bool) -> bool:
        return name != "b" or rehearse

    ids = (parked.run_id, blocked.run_id, rehearsal.run_id)
    assert await waits(ledger, *ids, can_run=can_run) == [
        Wait(reason=WaitReason.PARKED),
        Wait(reason=WaitReason.INVALID),
        Wait(reason=WaitReason.NEXT),
    ]


async def test_what_is_said_is_what_the_claim_does(ledger: Ledger) -> None:
    await given.running(ledger, "a", concurrency=1)
    await given.running(ledger, "talk", conversation_key="k")
    wishes = [
        given.start("a", concurrency=1),
        given.start("talk", conversation_key="k"),
        given.start("talk", conversation_key="m", order_key="2"),
        given.start("talk", conversation_key="m", order_key="1"),
        *(given.start("many", concurrency=2) for _ in range(4)),
        given.start("last"),
    ]
    await ledger.admit(wishes)
    ids = [each.run_id for each in wishes]

    said = await ledger.waits(ids, overall=5, now=NOW)
    claimed = await ledger.claim(limit=99, overall=5, now=NOW)

    following = {each for each, wait in said.items() if wait.reason is WaitReason.NEXT}
    assert following == {run.run_id for run in claimed}
    assert len(following) == 3
    assert {each.reason for each in said.values()} == {
        WaitReason.NEXT,
        WaitReason.CONCURRENCY_LIMIT,
        WaitReason.CONVERSATION,
        WaitReason.GLOBAL_LIMIT,
    }
