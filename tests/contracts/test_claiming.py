"""`ports.RunLedger.claim`, `next_claimable_at` and `bind`, sentence by sentence."""

import asyncio
from collections import Counter
from datetime import timedelta

import ledger_values as given
from ledger_values import MINUTE, NOW, ids

from amodal_rt.domain.profile import Isolation, RunProfile
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.wait import WaitReason
from amodal_rt.ports import Ledger, RunFilter


async def test_claim_takes_the_oldest_first_and_marks_them_running(ledger: Ledger) -> None:
    starts = [given.start(f"a{number}") for number in range(4)]
    await ledger.admit(starts)

    claimed = await ledger.claim(limit=3, overall=1000, now=NOW + MINUTE)

    assert [run.run_id for run in claimed] == [start.run_id for start in starts[:3]]
    assert all(run.status is RunStatus.RUNNING for run in claimed)
    assert all((run.term, run.started_at) == (1, NOW + MINUTE) for run in claimed)
    assert await ids(ledger, status=RunStatus.RUNNING) == [run.run_id for run in claimed[::-1]]


async def test_no_run_is_claimed_twice(ledger: Ledger) -> None:
    await ledger.admit([given.start(f"a{number}") for number in range(50)])

    claims = await asyncio.gather(
        *(ledger.claim(limit=3, overall=1000, now=NOW) for _ in range(40))
    )

    claimed = [run.run_id for claim in claims for run in claim]
    assert len(claimed) == len(set(claimed)) == 50


async def test_claim_skips_automations_with_concurrency_running_runs(ledger: Ledger) -> None:
    many = [given.start("many", concurrency=2) for _ in range(5)]
    other = given.start("other")
    await ledger.admit([*many, other])

    claimed = await ledger.claim(limit=10, overall=1000, now=NOW)

    assert [run.run_id for run in claimed] == [many[0].run_id, many[1].run_id, other.run_id]
    assert await ledger.claim(limit=10, overall=1000, now=NOW) == []


async def test_a_free_slot_goes_to_the_automation_with_the_fewest_runs_under_way(
    ledger: Ledger,
) -> None:
    storm = [given.start("storm", concurrency=10) for _ in range(300)]
    await ledger.admit(storm)
    await ledger.claim(limit=10, overall=3, now=NOW)
    calm, late = [given.start("calm", concurrency=10) for _ in range(2)], given.start("late")
    await ledger.admit([*calm, late])

    claims = [await ledger.claim(limit=10, overall=overall, now=NOW) for overall in range(4, 10)]

    names = [[run.automation for run in claim] for claim in claims]
    assert names == [["calm"], ["late"], ["calm"], ["storm"], ["storm"], ["storm"]]


async def test_of_those_with_as_many_runs_the_one_goes_first_that_had_its_turn_longest_ago(
    ledger: Ledger,
) -> None:
    """With one slot for all, the fewest runs under way are none."""
    await ledger.admit([given.start("storm", concurrency=9) for _ in range(300)])
    await ledger.admit([given.start("other", concurrency=9) for _ in range(3)])
    served: list[str] = []

    async def serve(times: int) -> None:
        for _ in range(times):
            (run,) = await ledger.claim(limit=5, overall=1, now=NOW)
            served.append(run.automation)
            await ledger.finish(run, given.outcome(), at=NOW, plan=given.nothing)

    await serve(3)
    await ledger.admit([given.start("calm")])
    (next_run,) = await ledger.list_runs(RunFilter(automation="calm", limit=1))
    waits = await ledger.waits([next_run.run_id], overall=1, now=NOW)
    assert waits[next_run.run_id].reason is WaitReason.NEXT
    await serve(5)

    assert served == ["storm", "other", "storm", "calm", "other", "storm", "other", "storm"]


async def test_what_was_cut_off_goes_on_first(ledger: Ledger) -> None:
    await given.running(ledger, "calm")
    await ledger.admit([given.start("storm", concurrency=9) for _ in range(3)])
    cut = (await ledger.claim(limit=2, overall=3, now=NOW))[1]
    await ledger.resume(cut, at=NOW)
    await ledger.admit([given.start("other")])

    claimed = await ledger.claim(limit=1, overall=3, now=NOW)

    assert [run.run_id for run in claimed] == [cut.run_id]


async def test_as_many_storms_as_slots_leave_a_turn_for_others_among_very_many(
    ledger: Ledger,
) -> None:
    storms = ["s1", "s2", "s3"]
    for name in storms:
        await ledger.admit([given.start(name, concurrency=9) for _ in range(250)])
    running = [run for _ in range(3) for run in await ledger.claim(limit=1, overall=3, now=NOW)]
    await ledger.admit([given.start(f"a{number:03}") for number in range(250)])
    served: list[str] = []
    for _ in range(6):
        await ledger.finish(running.pop(0), given.outcome(), at=NOW, plan=given.nothing)
        (run,) = await ledger.claim(limit=1, overall=3, now=NOW)
        running.append(run)
        served.append(run.automation)

    assert served == [f"a{number:03}" for number in range(6)]


async def test_ten_automations_that_would_take_it_all_leave_the_eleventh_its_turn(
    ledger: Ledger,
) -> None:
    names = [f"a{number:02}" for number in range(11)]
    for name in names[:10]:
        await ledger.admit([given.start(name, concurrency=20) for _ in range(30)])
    await ledger.claim(limit=20, overall=20, now=NOW)
    await ledger.admit([given.start(names[10], concurrency=20) for _ in range(30)])

    claimed = await ledger.claim(limit=13, overall=33, now=NOW)

    counts = Counter(run.automation for run in claimed)
    assert counts[names[10]] == 3
    assert sorted(counts.values()) == [1] * 10 + [3]


async def test_among_very_many_automations_those_without_a_run_go_first(ledger: Ledger) -> None:
    await ledger.admit([given.start("storm", concurrency=1000) for _ in range(700)])
    await ledger.claim(limit=5, overall=1000, now=NOW)
    await ledger.admit([given.start(f"a{number:03}") for number in range(250)])

    claimed = await ledger.claim(limit=251, overall=1000, now=NOW)

    counts = Counter(run.automation for run in claimed)
    assert len(counts) == 251
    assert counts["storm"] == 1
    assert [run.automation for run in claimed[1:]] == [f"a{number:03}" for number in range(250)]


async def test_claim_sees_past_any_number_of_waiting_runs(ledger: Ledger) -> None:
    await ledger.admit([given.start("many", concurrency=1) for _ in range(700)])
    other = given.start("other")
    await ledger.admit([other])

    claimed = await ledger.claim(limit=10, overall=1000, now=NOW)

    assert [run.automation for run in claimed] == ["many", "other"]


async def test_claim_skips_runs_whose_time_has_not_come(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await ledger.finish(
        run, given.outcome(RunStatus.FAILED), at=NOW, plan=given.nothing, retry_at=NOW + MINUTE
    )

    assert await ledger.claim(limit=1, overall=1000, now=NOW + MINUTE - timedelta(seconds=1)) == []
    assert len(await ledger.claim(limit=1, overall=1000, now=NOW + MINUTE)) == 1


async def test_claim_skips_runs_whose_conversation_has_a_running_run(ledger: Ledger) -> None:
    first, second = (given.start(conversation_key="k") for _ in range(2))
    elsewhere = given.start("other", conversation_key="k")
    alone = given.start()
    await ledger.admit([first, second, elsewhere, alone])

    claimed = await ledger.claim(limit=10, overall=1000, now=NOW)

    assert {run.run_id for run in claimed} == {first.run_id, elsewhere.run_id, alone.run_id}
    one = next(run for run in claimed if run.run_id == first.run_id)
    await ledger.finish(one, given.outcome(), at=NOW, plan=given.nothing)
    assert [run.run_id for run in await ledger.claim(limit=10, overall=1000, now=NOW)] == [
        second.run_id
    ]


async def test_started_at_is_of_the_first_attempt_and_each_claim_raises_the_term(
    ledger: Ledger,
) -> None:
    run = await given.running(ledger)
    await ledger.requeue(run, at=NOW + MINUTE)

    (again,) = await ledger.claim(limit=1, overall=1000, now=NOW + 2 * MINUTE)

    assert (again.started_at, again.term, again.attempt) == (NOW, 2, 2)


async def test_next_claimable_is_the_earliest_run_that_waits_for_time(ledger: Ledger) -> None:
    assert await ledger.next_claimable_at() is None
    for minutes in (3, 2):
        run = await given.running(ledger)
        await ledger.finish(
            run,
            given.outcome(RunStatus.FAILED),
            at=NOW,
            plan=given.nothing,
            retry_at=NOW + minutes * MINUTE,
        )

    assert await ledger.next_claimable_at() == NOW + 2 * MINUTE


async def test_next_claimable_leaves_out_what_waits_for_a_slot_as_well(ledger: Ledger) -> None:
    first = await given.running(ledger, concurrency=1)
    await ledger.finish(
        first,
        given.outcome(RunStatus.FAILED),
        at=NOW,
        plan=given.nothing,
        retry_at=NOW + MINUTE,
    )
    await given.running(ledger, concurrency=1)

    assert await ledger.next_claimable_at() is None
    await ledger.claim(limit=10, overall=1000, now=NOW + 2 * MINUTE)
    assert await ledger.next_claimable_at() is None


async def test_a_run_whose_time_has_come_is_not_waited_for(ledger: Ledger) -> None:
    """Else an engine at its global limit would wake again and again for it."""
    run = await given.running(ledger)
    await ledger.finish(
        run, given.outcome(RunStatus.FAILED), at=NOW, plan=given.nothing, retry_at=NOW + MINUTE
    )

    await ledger.claim(limit=0, overall=1000, now=NOW + MINUTE)

    assert await ledger.next_claimable_at() is None


async def test_bind_names_the_version_that_a_claimed_run_executes(ledger: Ledger) -> None:
    run = await given.running(ledger)

    await ledger.bind(run.run_id, term=run.term, definition="e" * 64)
    await ledger.bind(run.run_id, term=run.term + 1, definition="f" * 64)

    found = await ledger.find_run(run.run_id)
    assert found is not None
    assert found.definition == "e" * 64
    assert found.profile is None


async def test_bind_keeps_the_profile_that_a_run_began_in(ledger: Ledger) -> None:
    run = await given.running(ledger)
    first = RunProfile(label="build@1", hash="a" * 64, isolation=Isolation.NONE)
    later = RunProfile(label="build@2", hash="b" * 64, isolation=Isolation.BUBBLEWRAP)

    await ledger.bind(run.run_id, term=run.term, definition="e" * 64, profile=first)
    await ledger.bind(run.run_id, term=run.term, definition="e" * 64, profile=later)

    found = await ledger.find_run(run.run_id)
    assert found is not None
    assert found.profile == first
