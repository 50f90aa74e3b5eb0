"""Stopping, and what a crash leaves behind."""

import asyncio

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


async def test_what_does_not_finish_in_time_is_interrupted(desk):
    definition = desk.put("job", retry={"attempts": 3})

    async def hang(context) -> Outcome:
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
    assert (run.status, run.reason) == ("failed", "interrupted")


async def crash_with(desk, *entries: EntryType) -> str:
    """A run that was claimed and journaled, and whose process is gone."""
    definition = desk.put(
        "job",
        failureAlert={"targets": [{"type": "webhook", "url": "https://alerts.example/x"}]},
    )
    run_id = await desk.start(definition)
    (run,) = await desk.ledger.claim(limit=1, now=desk.clock.now())
    for each in entries:
        await desk.ledger.record(run.run_id, each, at=desk.clock.now())
    return run_id


async def test_a_run_that_had_done_nothing_is_carried_after_a_crash(desk):
    run_id = await crash_with(desk, EntryType.RUN_STARTED)

    async with desk.running():
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.attempt) == ("completed", 2)


async def test_a_run_in_the_middle_fails_as_interrupted_and_alerts(desk):
    run_id = await crash_with(desk, EntryType.RUN_STARTED, EntryType.TURN_STARTED)

    async with desk.running():
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.reason) == ("failed", "interrupted")
    (alert,) = await desk.ledger.list_messages(limit=9)
    assert (alert.message.kind, alert.message.body["reason"]) == ("failure_alert", "interrupted")


async def test_recovering_twice_changes_nothing_more(desk):
    await crash_with(desk, EntryType.RUN_STARTED, EntryType.TURN_STARTED)
    await desk.engine().recover()
    before = await desk.runs()

    await desk.engine().recover()

    assert await desk.runs() == before
    assert len(await desk.ledger.list_messages(limit=9)) == 1
