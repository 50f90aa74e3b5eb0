"""`ports.RunLedger.finish`, `park` and `requeue`, sentence by sentence."""

import asyncio
from typing import Any

import ledger_values as given
import pytest
from ledger_values import HOUR, MINUTE, NOW, ids, status_of

from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.delivery import DeliveryStatus, FailureState, Plan
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Waiting
from amodal_rt.domain.run import RunStatus, Usage
from amodal_rt.errors import ConflictError
from amodal_rt.ports import Ledger


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
