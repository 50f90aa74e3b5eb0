"""Stopping, and what a crash leaves behind."""

import asyncio
from datetime import timedelta

import pytest

from amodal_rt.domain.delivery import Plan
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus


async def test_stopping_lets_runs_finish_within_the_grace_period(desk):
    definition = desk.put("job")

    async def slow(context) -> Outcome:
        await desk.clock.sleep(20)
        return Outcome(status=RunStatus.COMPLETED)

    desk.executor.work = slow
    engine = desk.engine()
    task = asyncio.create_task(engine.run())
    run_id = await desk.start(definition)
    await desk.clock.settle()
    later = asyncio.create_task(engine.stop(30))
    await desk.clock.settle()
    pending = await desk.start(definition)
    await desk.clock.advance(25)
    await asyncio.wait([later, task])

    assert (await desk.run(run_id)).status == "completed"
    assert (await desk.run(pending)).status == "pending"


@pytest.mark.parametrize(
    ("step", "status", "reason", "resumes"),
    [
        (None, "pending", None, 0),
        (EntryType.TURN_STARTED, "pending", None, 1),
        (EntryType.WRITE_STARTED, "failed", "interrupted", 0),
    ],
)
async def test_what_does_not_finish_in_time_goes_on_at_the_next_start_unless_it_was_writing(
    desk, step: EntryType | None, status: str, reason: str | None, resumes: int
):
    definition = desk.put("job", retry={"attempts": 3})

    async def hang(context) -> Outcome:
        if step:
            await context.journal.record(step, step="s")
        await asyncio.Event().wait()
        raise AssertionError

    desk.executor.work = hang
    engine = desk.engine()
    task = asyncio.create_task(engine.run())
    run_id = await desk.start(definition)
    await desk.clock.settle()
    stopping = asyncio.create_task(engine.stop(30))
    await desk.clock.advance(31)
    await asyncio.wait([stopping, task])

    run = await desk.run(run_id)
    assert (run.status, run.reason, run.resumes) == (status, reason, resumes)


async def crash_with(desk, *entries: EntryType) -> str:
    """A run that was claimed and journaled, and whose process is gone."""
    definition = desk.put(
        "job",
        failureAlert={"targets": [{"type": "webhook", "url": "https://alerts.example/x"}]},
    )
    run_id = await desk.start(definition)
    (run,) = await desk.ledger.claim(limit=1, overall=1000, now=desk.clock.now())
    for each in entries:
        await desk.ledger.record(run.run_id, each, at=desk.clock.now())
    await new_life(desk)
    return run_id


async def new_life(desk) -> None:
    """What ran is an orphan."""
    await desk.ledger.join(host="a", pid=1, version="1", lease=timedelta(hours=1))


async def test_a_run_that_had_done_nothing_is_carried_after_a_crash(desk):
    run_id = await crash_with(desk, EntryType.RUN_STARTED)

    async with desk.running():
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.attempt) == ("completed", 2)


async def test_a_run_in_the_middle_of_a_write_fails_as_interrupted_and_alerts(desk):
    run_id = await crash_with(desk, EntryType.RUN_STARTED, EntryType.WRITE_STARTED)

    async with desk.running():
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.reason) == ("failed", "interrupted")
    (alert,) = await desk.ledger.list_messages(limit=9)
    assert (alert.message.kind, alert.message.body["reason"]) == ("failure_alert", "interrupted")


async def test_recovering_twice_changes_nothing_more(desk):
    await crash_with(desk, EntryType.RUN_STARTED, EntryType.WRITE_STARTED)
    await desk.engine().recover()
    before = await desk.runs()

    await desk.engine().recover()

    assert await desk.runs() == before
    assert len(await desk.ledger.list_messages(limit=9)) == 1


async def test_a_crash_in_a_late_attempt_is_judged_by_that_attempt_alone(desk):
    """More entries than one page stand before it: reading only these would repeat the turn."""
    definition = desk.put("job", retry={"attempts": 1, "backoffSeconds": 1})
    run_id = await desk.start(definition)
    (run,) = await desk.ledger.claim(limit=1, overall=1000, now=desk.clock.now())
    for _ in range(1_001):
        await desk.ledger.record(run_id, EntryType.RUN_NOTE, at=desk.clock.now())
    await desk.ledger.requeue(run, at=desk.clock.now())
    (run,) = await desk.ledger.claim(limit=1, overall=1000, now=desk.clock.now())
    now = desk.clock.now()
    await desk.ledger.record(run_id, EntryType.WRITE_STARTED, at=now, attempt=run.attempt)
    await new_life(desk)

    await desk.engine().recover()

    found = await desk.run(run_id)
    assert (found.status, found.reason) == ("failed", "interrupted")


async def test_a_run_that_always_ends_the_process_is_given_up(desk):
    run_id = await crash_with(desk, EntryType.RUN_STARTED)
    for _ in range(3):
        await desk.engine().recover()
        assert (await desk.run(run_id)).status == "pending"
        await desk.ledger.claim(limit=1, overall=1000, now=desk.clock.now())
        await new_life(desk)
    await desk.engine().recover()

    found = await desk.run(run_id)
    assert (found.status, found.reason, found.attempt) == ("failed", "interrupted", 4)
    assert "4 times in a row before the first step" in found.error
    assert f"ops runs replay {run_id}" in found.error


@pytest.mark.parametrize("before", ["retried", "stepped"])
async def test_only_ends_in_a_row_before_the_first_step_count_against_a_run(desk, before: str):
    """A retry by rule or a step in between shows that it is not the run that ends the process."""
    definition = desk.put("job", retry={"attempts": 3, "backoffSeconds": 1})
    run_id = await desk.start(definition)
    for attempt in range(1, 4):
        await desk.clock.advance(3600)
        (run,) = await desk.ledger.claim(limit=1, overall=9, now=desk.clock.now())
        failed = Outcome(status=RunStatus.FAILED, reason="error", error="x")
        if before == "stepped" and attempt == 3:
            await desk.ledger.record(run_id, EntryType.TURN_STARTED, at=desk.clock.now())
        if before == "retried":
            now = desk.clock.now()
            await desk.ledger.finish(run, failed, at=now, plan=lambda _: Plan(), retry_at=now)
        else:
            await desk.ledger.requeue(run, at=desk.clock.now())
    await desk.ledger.claim(limit=1, overall=9, now=desk.clock.now())
    await new_life(desk)

    await desk.engine().recover()

    found = await desk.run(run_id)
    assert (found.status, found.attempt) == ("pending", 5)
