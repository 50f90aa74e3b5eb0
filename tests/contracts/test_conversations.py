"""Of one conversation, runs go one after another and in order; what is too late is stale."""

import asyncio
from datetime import datetime

import ledger_values as given
from ledger_values import HOUR, MINUTE, NOW

from amodal_rt.domain.outcome import Waiting
from amodal_rt.domain.run import Run, RunStatus, SkippedReason, Start
from amodal_rt.ports import Ledger

STALE = (RunStatus.SKIPPED, SkippedReason.STALE.value)
PENDING = (RunStatus.PENDING, None)


def said(order: str | None, conversation: str | None = "c", **changed: object) -> Start:
    return given.start(
        **{
            "conversation_key": conversation,
            "order_key": order,
            "concurrency": 100,
            **changed,
        }
    )


async def ruled(ledger: Ledger, *starts: Start) -> list[tuple[RunStatus, str | None]]:
    return [(ref.status, ref.reason) for ref in await ledger.admit(starts)]


async def claimed(ledger: Ledger, now: datetime = NOW, limit: int = 100) -> list[Run]:
    return await ledger.claim(limit=limit, overall=1000, now=now)


async def orders(ledger: Ledger) -> list[str | None]:
    """The order keys of what runs, one after another, until nothing waits."""
    found: list[str | None] = []
    while runs := await claimed(ledger):
        for run in runs:
            found.append(run.order_key)
            await ledger.finish(run, given.outcome(), at=NOW, plan=given.nothing)
    return found


async def test_what_comes_out_of_order_runs_in_order(ledger: Ledger) -> None:
    await ledger.admit([said(order) for order in ("3", "1", "4", "2", "10")])

    assert await orders(ledger) == ["1", "10", "2", "3", "4"]


async def test_among_equals_the_oldest_goes_first(ledger: Ledger) -> None:
    starts = [said("2"), said("1"), said("1")]
    await ledger.admit(starts)

    (run,) = await claimed(ledger)

    assert run.run_id == starts[1].run_id


async def test_conversations_do_not_wait_for_each_other(ledger: Ledger) -> None:
    await ledger.admit([said("2", "a"), said("1", "b"), said("1", "a"), said("9", None)])
    await ledger.admit([said("0", "a", automation="other")])

    runs = await claimed(ledger)

    assert [(run.automation, run.conversation_key, run.order_key) for run in runs] == [
        ("digest", "b", "1"),
        ("digest", "a", "1"),
        ("digest", None, "9"),
        ("other", "a", "0"),
    ]


async def test_a_slot_goes_to_the_conversation_that_waits_longest(ledger: Ledger) -> None:
    await ledger.admit([said("5", "a"), said("1", "b"), said("2", "a")])

    (run,) = await claimed(ledger, limit=1)

    assert (run.conversation_key, run.order_key) == ("a", "2")


async def test_the_first_one_is_found_behind_a_thousand_others(ledger: Ledger) -> None:
    crowd = [said(f"1{number:05}", "a" if number % 2 else "b") for number in range(1000)]
    await ledger.admit([*crowd, said("0", "b")])

    runs = await claimed(ledger)

    assert [run.order_key for run in runs] == ["100001", "0"]


async def test_while_the_first_waits_for_its_time_the_next_ones_wait(ledger: Ledger) -> None:
    await ledger.admit([said("1"), said("2")])
    (first,) = await claimed(ledger)
    failed = given.outcome(RunStatus.FAILED)
    await ledger.finish(first, failed, at=NOW, plan=given.nothing, retry_at=NOW + HOUR)

    assert await claimed(ledger) == []
    assert await ledger.next_claimable_at() == NOW + HOUR
    (run,) = await claimed(ledger, NOW + HOUR)

    assert run.run_id == first.run_id


async def test_a_parked_run_keeps_nobody_waiting(ledger: Ledger) -> None:
    await ledger.admit([said("1"), said("2")])
    (first,) = await claimed(ledger)
    await ledger.park(first, Waiting(reason="awaiting_approval"), at=NOW)

    (run,) = await claimed(ledger)

    assert run.order_key == "2"


async def test_those_without_an_order_go_by_their_age(ledger: Ledger) -> None:
    await ledger.admit([said(None), said("2"), said("1"), said(None)])

    assert await orders(ledger) == [None, "1", "2", None]


async def test_what_comes_after_a_later_one_began_is_stale(ledger: Ledger) -> None:
    await ledger.admit([said("5")])
    (run,) = await claimed(ledger)
    late = said("4")

    assert await ruled(ledger, late, said("5"), said("6"), said(None)) == [
        STALE,
        PENDING,
        PENDING,
        PENDING,
    ]

    found = await ledger.find_run(late.run_id)
    assert found is not None
    assert run.run_id in (found.rule or "")
    await ledger.finish(run, given.outcome(), at=NOW, plan=given.nothing)
    assert await ruled(ledger, said("4")) == [STALE]


async def test_while_the_later_one_waits_nothing_is_stale(ledger: Ledger) -> None:
    await ledger.admit([said("5")])

    assert await ruled(ledger, said("4")) == [PENDING]


async def test_another_conversation_or_automation_makes_nothing_stale(ledger: Ledger) -> None:
    await ledger.admit([said("5")])
    await claimed(ledger)

    others = [said("4", "d"), said("4", None), said("4", automation="other")]
    assert await ruled(ledger, *others) == [PENDING] * 3


async def test_a_run_that_waits_for_its_next_try_has_begun(ledger: Ledger) -> None:
    await ledger.admit([said("5")])
    (run,) = await claimed(ledger)
    failed = given.outcome(RunStatus.FAILED)
    await ledger.finish(run, failed, at=NOW, plan=given.nothing, retry_at=NOW + MINUTE)

    assert await ruled(ledger, said("4")) == [STALE]


async def test_a_run_that_its_gate_stopped_never_began(ledger: Ledger) -> None:
    await ledger.admit([said("5")])
    (run,) = await claimed(ledger)
    stopped = given.outcome(RunStatus.SKIPPED, reason="filtered")
    await ledger.finish(run, stopped, at=NOW, plan=given.nothing)

    assert await ruled(ledger, said("4")) == [PENDING]


async def test_two_nodes_keep_one_order(ledger: Ledger, another: Ledger) -> None:
    await ledger.admit([said(str(order)) for order in range(9, 0, -1)])
    found: list[str | None] = []
    for _ in range(9):
        both = await asyncio.gather(claimed(ledger), claimed(another))
        (run,) = [run for runs in both for run in runs]
        found.append(run.order_key)
        holder = ledger if both[0] else another
        await holder.finish(run, given.outcome(), at=NOW, plan=given.nothing)

    assert found == [str(order) for order in range(1, 10)]


async def test_what_is_held_back_is_counted_by_conversations(ledger: Ledger) -> None:
    await ledger.admit([said("2", "a"), said("1", "a"), said("1", "b")])

    refs = await ledger.held_back(overall=0, now=NOW)

    runs = [await ledger.find_run(ref.run_id) for ref in refs]
    assert [(run.conversation_key, run.order_key) for run in runs if run] == [
        ("a", "1"),
        ("b", "1"),
    ]
