"""`ports.RunLedger` without `admit`, sentence by sentence."""

import asyncio
from datetime import timedelta
from typing import Any

import ledger_values as given
import pytest
from ledger_values import CALLER, HOUR, MINUTE, NOW

from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.delivery import DeliveryStatus, FailureState, MessageKind, Plan
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Waiting
from amodal_rt.domain.run import Run, RunStatus, SkippedReason, Usage
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import Ledger, RunFilter


async def ids(ledger: Ledger, **wanted: Any) -> list[str]:
    return [run.run_id for run in await ledger.list_runs(RunFilter(**wanted))]


async def status_of(ledger: Ledger, run_id: str) -> tuple[str, str | None]:
    run = await ledger.find_run(run_id)
    assert run is not None
    return run.status.value, run.reason


# claim


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


# next_claimable_at


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


# bind


async def test_bind_names_the_version_that_a_claimed_run_executes(ledger: Ledger) -> None:
    run = await given.running(ledger)

    await ledger.bind(run.run_id, term=run.term, definition="e" * 64)
    await ledger.bind(run.run_id, term=run.term + 1, definition="f" * 64)

    found = await ledger.find_run(run.run_id)
    assert found is not None
    assert found.definition == "e" * 64


# finish


async def test_finish_writes_the_outcome(ledger: Ledger) -> None:
    usage = Usage(input_tokens=120, output_tokens=30, turns=2, cost_usd=0.25)
    run = await given.finished(
        ledger,
        text="all \ud83d well",
        payload={"ok": [True]},
        reason="quiet",
        output=("#reports", "callback"),
        usage=usage,
        at=NOW + MINUTE,
    )

    assert (run.status, run.reason, run.finished_at) == (RunStatus.COMPLETED, "quiet", NOW + MINUTE)
    assert (run.result_payload, run.output) == ({"ok": [True]}, ("#reports", "callback"))
    assert (run.usage, run.model, run.error) == (usage, "stub:small", None)
    assert run.result_text is not None
    assert run.result_text.startswith("all ")
    assert run.duration == MINUTE
    assert await ids(ledger, status=RunStatus.RUNNING) == []


async def test_finish_ends_the_journal_with_run_finished_after_the_notes(ledger: Ledger) -> None:
    run = await given.finished(
        ledger,
        status=RunStatus.FAILED,
        reason="timed_out",
        error="took 300 s",
        plan=given.owing(notes=("first", "second")),
    )

    entries = await ledger.entries(run.run_id)

    assert [(entry.type, entry.data.get("note")) for entry in entries] == [
        (EntryType.RUN_NOTE, "first"),
        (EntryType.RUN_NOTE, "second"),
        (EntryType.RUN_FINISHED, None),
    ]
    told = entries[-1].data
    assert (told["status"], told["reason"], told["error"]) == ("failed", "timed_out", "took 300 s")


async def test_finish_commits_what_the_plan_owes(ledger: Ledger) -> None:
    run = await given.running(ledger)
    due = given.message(run.run_id)
    kept = given.message(run.run_id, status=DeliveryStatus.SUPPRESSED)

    await ledger.finish(run, given.outcome(), at=NOW, plan=given.owing(due, kept))

    records = await ledger.list_messages(limit=10)
    assert [(record.message, record.status) for record in records] == [
        (kept, DeliveryStatus.SUPPRESSED),
        (due, DeliveryStatus.PENDING),
    ]


async def test_a_plan_that_raises_leaves_the_run_running(ledger: Ledger) -> None:
    run = await given.running(ledger)

    def broken(_: FailureState) -> Plan:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ledger.finish(run, given.outcome(RunStatus.FAILED), at=NOW, plan=broken)

    assert await status_of(ledger, run.run_id) == ("running", None)
    assert await ledger.entries(run.run_id) == []
    assert (await ledger.failure_state("digest")).consecutive == 0


async def consecutive(ledger: Ledger, **changed: Any) -> int:
    """What the plan of one more outcome is told."""
    told: list[int] = []

    def plan(state: FailureState) -> Plan:
        told.append(state.consecutive)
        return Plan()

    await given.finished(ledger, plan=plan, **changed)
    assert (await ledger.failure_state("digest")).consecutive == told[-1]
    return told[-1]


async def test_plan_is_told_the_state_after_this_outcome_was_counted(ledger: Ledger) -> None:
    failed = {"status": RunStatus.FAILED}

    assert await consecutive(ledger, **failed) == 1
    assert await consecutive(ledger, **failed) == 2
    assert await consecutive(ledger, status=RunStatus.CANCELLED) == 2
    assert await consecutive(ledger) == 0
    assert await consecutive(ledger, **failed) == 1


async def test_a_rehearsal_moves_no_failure_counter(ledger: Ledger) -> None:
    assert await consecutive(ledger, status=RunStatus.FAILED) == 1
    assert await consecutive(ledger, status=RunStatus.FAILED, model="rehearsal") == 1
    assert await consecutive(ledger, model="rehearsal") == 1


async def test_failures_are_counted_per_automation(ledger: Ledger) -> None:
    await given.finished(ledger, "one", status=RunStatus.FAILED)

    assert (await ledger.failure_state("two")).consecutive == 0


async def test_with_retry_at_the_run_waits_owes_nothing_and_counts_no_failure(
    ledger: Ledger,
) -> None:
    run = await given.running(ledger)

    def never(_: FailureState) -> Plan:
        raise AssertionError

    usage = Usage(input_tokens=5, turns=1, cost_usd=0.5)
    failed = given.outcome(RunStatus.FAILED, reason="error", error="503", usage=usage)
    assert await ledger.finish(run, failed, at=NOW, plan=never, retry_at=NOW + MINUTE)

    waiting = await ledger.find_run(run.run_id)
    assert waiting is not None
    assert (waiting.status, waiting.reason, waiting.attempt) == (RunStatus.PENDING, None, 2)
    assert waiting.not_before == NOW + MINUTE
    assert (await ledger.failure_state("digest")).consecutive == 0
    assert [entry.type for entry in await ledger.entries(run.run_id)] == [EntryType.RUN_RETRIED]

    (again,) = await ledger.claim(limit=1, overall=1000, now=NOW + MINUTE)
    done = given.outcome(usage=usage)
    assert await ledger.finish(again, done, at=NOW + 2 * MINUTE, plan=given.nothing)
    ended = await ledger.find_run(run.run_id)
    assert ended is not None
    assert (ended.error, ended.not_before) == (None, None)
    # Both attempts were paid for.
    assert ended.usage == Usage(input_tokens=10, turns=2, cost_usd=1.0)


async def test_finish_writes_nothing_under_an_old_term(ledger: Ledger) -> None:
    old = await given.running(ledger)
    await ledger.requeue(old, at=NOW)
    (new,) = await ledger.claim(limit=1, overall=1000, now=NOW)
    before = await ledger.entries(old.run_id)
    plan = given.owing(given.message(old.run_id))

    assert not await ledger.finish(old, given.outcome(RunStatus.FAILED), at=NOW, plan=plan)

    assert await ledger.find_run(old.run_id) == new
    assert await ledger.entries(old.run_id) == before
    assert await ledger.list_messages(limit=10) == []
    assert (await ledger.failure_state("digest")).consecutive == 0


async def test_a_run_finishes_once(ledger: Ledger) -> None:
    run = await given.running(ledger)
    ended = [
        ledger.finish(run, given.outcome(text=str(number)), at=NOW, plan=given.nothing)
        for number in range(5)
    ]

    assert (await asyncio.gather(*ended)).count(True) == 1


async def test_a_running_run_cannot_end_as_running(ledger: Ledger) -> None:
    run = await given.running(ledger)

    with pytest.raises(ConflictError):
        await ledger.finish(run, given.outcome(RunStatus.RUNNING), at=NOW, plan=given.nothing)


# park and requeue


async def test_a_parked_run_waits_outside_any_slot(ledger: Ledger) -> None:
    run = await given.running(ledger, concurrency=1)

    assert await ledger.park(run, Waiting(reason="awaiting_approval"), at=NOW)

    assert await status_of(ledger, run.run_id) == ("pending", "awaiting_approval")
    assert await ids(ledger, status=RunStatus.RUNNING) == []
    assert await ledger.claim(limit=10, overall=1000, now=NOW) == []
    other = given.start(on_limit=OnLimit.SKIP, concurrency=1)
    (ref,) = await ledger.admit([other])
    assert ref.status is RunStatus.PENDING
    (held,) = await ledger.held_back(overall=0, now=NOW + HOUR)
    assert held.run_id == other.run_id
    assert await ledger.expire([run.run_id], at=NOW + HOUR) == []
    assert await status_of(ledger, run.run_id) == ("pending", "awaiting_approval")


async def test_park_and_requeue_write_nothing_under_an_old_term(ledger: Ledger) -> None:
    old = await given.running(ledger)
    await ledger.requeue(old, at=NOW)
    (new,) = await ledger.claim(limit=1, overall=1000, now=NOW)

    assert not await ledger.park(old, Waiting(reason="waiting"), at=NOW)
    assert not await ledger.requeue(old, at=NOW)
    assert await ledger.find_run(old.run_id) == new


async def test_requeue_makes_a_running_run_pending_with_a_raised_attempt(ledger: Ledger) -> None:
    run = await given.running(ledger)

    assert await ledger.requeue(run, at=NOW)

    found = await ledger.find_run(run.run_id)
    assert found is not None
    assert (found.status, found.attempt) == (RunStatus.PENDING, 2)


# cancel and skip


async def test_cancel_ends_a_pending_run_and_says_what_it_was(ledger: Ledger) -> None:
    start = given.start()
    await ledger.admit([start])

    assert await ledger.cancel(start.run_id, caller=CALLER, at=NOW) is RunStatus.PENDING
    assert await ledger.cancel(start.run_id, caller=CALLER, at=NOW) is RunStatus.CANCELLED

    run = await ledger.find_run(start.run_id)
    assert run is not None
    assert (run.status, run.finished_at) == (RunStatus.CANCELLED, NOW)
    assert run.rule == "cancelled by ada (cli)"
    assert await ledger.claim(limit=1, overall=1000, now=NOW) == []
    assert [entry.type for entry in await ledger.entries(start.run_id)] == [EntryType.RUN_FINISHED]


async def test_cancel_leaves_a_running_run_to_its_supervisor(ledger: Ledger) -> None:
    run = await given.running(ledger)

    assert await ledger.cancel(run.run_id, caller=CALLER, at=NOW) is RunStatus.RUNNING
    assert await ledger.find_run(run.run_id) == run


async def test_cancel_of_an_unknown_run_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        await ledger.cancel("run_none", caller=CALLER, at=NOW)


async def test_cancel_pending_ends_all_pending_runs_of_an_automation(ledger: Ledger) -> None:
    running = await given.running(ledger)
    mine, other = [given.start(), given.start()], given.start("other")
    await ledger.admit([*mine, other])

    cancelled = await ledger.cancel_pending("digest", rule="deleted", caller=CALLER, at=NOW)

    assert cancelled == [start.run_id for start in mine]
    assert [await status_of(ledger, run_id) for run_id in cancelled] == [("cancelled", None)] * 2
    assert await status_of(ledger, other.run_id) == ("pending", None)
    assert await status_of(ledger, running.run_id) == ("running", None)


async def test_skip_pending_ends_one_pending_run_as_skipped(ledger: Ledger) -> None:
    start = given.start()
    await ledger.admit([start])
    reason = SkippedReason.STALE

    assert await ledger.skip_pending(start.run_id, reason=reason, rule="too old", at=NOW)
    assert not await ledger.skip_pending(start.run_id, reason=reason, rule="too old", at=NOW)

    run = await ledger.find_run(start.run_id)
    assert run is not None
    assert (run.status, run.reason, run.rule) == (RunStatus.SKIPPED, "stale", "too old")


# questions


async def test_unknown_runs_are_none(ledger: Ledger) -> None:
    assert await ledger.find_run("run_none") is None


async def test_runs_are_listed_newest_first_up_to_the_limit(ledger: Ledger) -> None:
    starts = [given.start() for _ in range(4)]
    await ledger.admit(starts)

    assert await ids(ledger, limit=3) == [start.run_id for start in starts[:0:-1]]


async def test_each_filter_keeps_what_it_names(ledger: Ledger) -> None:
    await given.finished(ledger, "done")
    early = given.start("early", created_at=NOW - HOUR)
    caused = given.start("caused", event_id="evt_9")
    await ledger.admit([early, caused])

    assert await ids(ledger, automation="early") == [early.run_id]
    assert await ids(ledger, status=RunStatus.PENDING) == [caused.run_id, early.run_id]
    assert await ids(ledger, event_id="evt_9") == [caused.run_id]
    assert early.run_id not in await ids(ledger, since=NOW)
    assert await ids(ledger, automation="caused", status=RunStatus.FAILED) == []


async def test_at_keeps_runs_whose_slots_cover_the_instant(ledger: Ledger) -> None:
    made = NOW + 5 * HOUR
    stretch = given.slot(
        NOW, skip=SkippedReason.MISSED, scheduled_until=NOW + HOUR, created_at=made
    )
    one = given.slot(NOW + 2 * HOUR, created_at=made, skip=SkippedReason.PAUSED)
    await ledger.admit([stretch, one])

    for minutes, expected in ((-1, []), (0, [stretch]), (30, [stretch]), (60, [stretch])):
        at = NOW + minutes * MINUTE
        assert await ids(ledger, at=at) == [start.run_id for start in expected]
    assert await ids(ledger, at=NOW + 2 * HOUR) == [one.run_id]
    assert await ids(ledger, at=NOW + 3 * HOUR) == []


async def test_at_keeps_runs_that_were_made_or_under_way_at_the_instant(ledger: Ledger) -> None:
    run = await given.finished(ledger, at=NOW + HOUR)
    skipped = given.start(skip=SkippedReason.FILTERED, created_at=NOW + HOUR)
    await ledger.admit([skipped])
    still = await given.running(ledger, "still", created_at=NOW + HOUR)

    assert await ids(ledger, at=NOW - MINUTE) == []
    assert await ids(ledger, at=NOW) == [run.run_id]
    assert await ids(ledger, at=NOW + 30 * MINUTE) == [run.run_id]
    assert await ids(ledger, at=NOW + HOUR) == [still.run_id, skipped.run_id, run.run_id]
    assert await ids(ledger, at=NOW + 2 * HOUR) == [still.run_id]


async def test_last_runs_are_the_newest_of_each_automation_that_are_not_skipped(
    ledger: Ledger,
) -> None:
    await given.finished(ledger, "a")
    newest = given.start("a")
    skipped = given.start("a", skip=SkippedReason.PAUSED)
    only_skipped = given.start("b", skip=SkippedReason.PAUSED)
    other = given.start("c")
    await ledger.admit([newest, skipped, only_skipped, other])

    last = await ledger.last_runs()

    assert {name: run.run_id for name, run in last.items()} == {
        "a": newest.run_id,
        "c": other.run_id,
    }
    assert all(isinstance(run, Run) for run in last.values())


async def test_previous_is_the_last_completed_run_that_no_rehearsal_served(
    ledger: Ledger,
) -> None:
    assert await ledger.previous("digest", None) is None
    await given.finished(ledger, text="first", at=NOW + MINUTE)
    told = await given.finished(ledger, text="second", at=NOW + 2 * MINUTE)
    await given.finished(ledger, text="pretend", model="rehearsal", at=NOW + 3 * MINUTE)
    await given.finished(ledger, status=RunStatus.FAILED, at=NOW + 4 * MINUTE)
    await given.finished(ledger, "other", text="elsewhere", at=NOW + 5 * MINUTE)

    previous = await ledger.previous("digest", None)

    assert previous is not None
    assert (previous.run_id, previous.summary) == (told.run_id, "second")
    assert previous.finished_at == NOW + 2 * MINUTE


async def test_previous_of_a_conversation_is_of_that_conversation(ledger: Ledger) -> None:
    run = await given.running(ledger, conversation_key="k")
    await ledger.finish(run, given.outcome(text="in k"), at=NOW, plan=given.nothing)
    await given.finished(ledger, text="outside", at=NOW + MINUTE)

    previous = await ledger.previous("digest", "k")

    assert previous is not None
    assert previous.summary == "in k"
    assert await ledger.previous("digest", "l") is None


async def test_writes_since_counts_writes_that_the_automations_runs_started(
    ledger: Ledger,
) -> None:
    one, two, other = [await given.running(ledger, name) for name in ("digest", "digest", "other")]
    for run, minutes in ((one, -2), (one, 0), (two, 1), (other, 1)):
        at = NOW + minutes * MINUTE
        await ledger.record(run.run_id, EntryType.WRITE_STARTED, at=at, step="s")
        await ledger.record(run.run_id, EntryType.WRITE_FINISHED, at=at, step="s")

    assert await ledger.writes_since("digest", NOW) == 2
    assert await ledger.writes_since("digest", NOW - HOUR) == 3
    assert await ledger.writes_since("digest", NOW - HOUR, until=NOW) == 2
    assert await ledger.writes_since("digest", NOW - HOUR, until=NOW - MINUTE) == 1
    assert await ledger.writes_since("none", NOW - HOUR) == 0


async def test_messages_of_kinds_stay_apart_in_the_failure_state(ledger: Ledger) -> None:
    """An owed result is no open alert."""
    run = await given.running(ledger)
    plan = given.owing(given.message(run.run_id, kind=MessageKind.RESULT))
    await ledger.finish(run, given.outcome(), at=NOW, plan=plan)

    assert await ledger.failure_state("digest") == FailureState()
