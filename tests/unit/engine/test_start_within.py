"""`limits.startWithin` ends what the limit on all runs together held back, and nothing else."""

import asyncio
from datetime import timedelta

from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workspace import WorkspaceLimits

WITHIN = 600
LONG = {"timeoutSeconds": 7200}


def limit(desk, concurrency: int) -> None:
    desk.limits = WorkspaceLimits(concurrency=concurrency, start_within=timedelta(seconds=WITHIN))


def work_for(desk, seconds: float) -> None:
    async def work(context) -> Outcome:
        await desk.clock.sleep(seconds)
        return Outcome(status=RunStatus.COMPLETED)

    desk.executor.work = work


def hang(desk) -> None:
    async def work(context) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    desk.executor.work = work


async def test_what_waits_for_its_own_automation_never_expires(desk):
    limit(desk, 10)
    job = desk.put("job", limits={"concurrency": 1, **LONG})
    work_for(desk, 0.6 * WITHIN)
    async with desk.running():
        waiting = [await desk.start(job, TriggerKind.WEBHOOK) for _ in range(5)]
        await desk.clock.advance(3.5 * WITHIN)

        assert [(await desk.run(run_id)).status for run_id in waiting] == ["completed"] * 5


async def test_waiting_for_its_own_automation_first_does_not_count(desk):
    limit(desk, 2)
    job, other = desk.put("job", limits={"concurrency": 1, **LONG}), desk.put("other", limits=LONG)
    hang(desk)
    async with desk.running() as engine:
        first, second = await desk.start(job), await desk.start(job)
        await desk.start(other)
        late = await desk.start(other)
        await desk.clock.advance(0.6 * WITHIN)
        engine.cancel_running(first)
        await desk.clock.settle()

        # The slot went to the oldest, and the other one still waits for all.
        assert (await desk.run(second)).status == "running"
        assert (await desk.run(late)).status == "pending"
        third = await desk.start(job)
        await desk.clock.advance(0.5 * WITHIN)
        run = await desk.run(late)
        assert (run.reason, run.rule) == ("global_limit", "limits.startWithin")
        await desk.clock.advance(WITHIN)
        assert (await desk.run(third)).status == "pending"


async def test_the_time_counts_anew_after_a_restart(desk):
    """Two hours without a daemon must not cost one webhook that was acknowledged."""
    limit(desk, 1)
    job = desk.put("job", limits=LONG)
    hang(desk)
    async with desk.running():
        started = await desk.start(job)
        await desk.clock.settle()
        waiting = await desk.start(job, TriggerKind.WEBHOOK)
        await desk.clock.advance(0.9 * WITHIN)
    await desk.clock.advance(12 * WITHIN)
    async with desk.running():
        await desk.clock.advance(0.9 * WITHIN)
        assert (await desk.run(waiting)).status == "pending"
        assert (await desk.run(started)).status == "running"
        await desk.clock.advance(0.2 * WITHIN)
        assert (await desk.run(waiting)).reason == "global_limit"


async def test_what_waited_while_nobody_lived_starts(desk):
    limit(desk, 2)
    jobs = [desk.put(name) for name in ("a", "b", "c")]
    waiting = [await desk.start(job, TriggerKind.WEBHOOK) for job in jobs]
    await desk.clock.advance(12 * WITHIN)
    async with desk.running():
        await desk.clock.advance(5)

    assert [(await desk.run(run_id)).status for run_id in waiting] == ["completed"] * 3


async def test_a_second_attempt_never_expires(desk):
    limit(desk, 1)
    job = desk.put("job", retry={"attempts": 1, "backoffSeconds": 2 * WITHIN})
    other = desk.put("other", limits=LONG)

    async def work(context) -> Outcome:
        if context.run.automation == "other":
            await desk.clock.sleep(6 * WITHIN)
        return Outcome(status=RunStatus.FAILED, reason="error", error="no luck")

    desk.executor.work = work
    async with desk.running():
        run_id = await desk.start(job)
        await desk.clock.settle()
        await desk.start(other)
        await desk.clock.advance(7 * WITHIN)

    run = await desk.run(run_id)
    assert (run.status, run.attempt) == ("failed", 2)
    assert (await desk.ledger.failure_state("job")).consecutive == 1


async def test_a_clock_that_jumps_ahead_expires_nothing(desk):
    limit(desk, 1)
    hang(desk)
    job, other = desk.put("job", limits=LONG), desk.put("other", limits=LONG)
    async with desk.running():
        await desk.start(job)
        await desk.clock.settle()
        waiting = await desk.start(other)
        await desk.clock.advance(30)
        desk.clock.jump(timedelta(days=1))
        await desk.clock.advance(30)

        assert (await desk.run(waiting)).status == "pending"


async def test_what_a_busy_runtime_never_reaches_expires(desk):
    """Slots become free all the time, and go to what is older."""
    limit(desk, 2)
    work_for(desk, 0.3 * WITHIN)
    jobs = [desk.put(f"job-{number}", limits=LONG) for number in range(20)]
    async with desk.running():
        waiting = [await desk.start(job) for job in jobs]
        await desk.clock.advance(2 * WITHIN)

    ends = [(run.status, run.reason) for run in [await desk.run(each) for each in waiting]]
    assert set(ends) == {("completed", None), ("skipped", "global_limit")}
    assert ends[:6] == [("completed", None)] * 6
    assert ends[-10:] == [("skipped", "global_limit")] * 10
