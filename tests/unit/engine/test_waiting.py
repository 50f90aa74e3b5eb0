"""Runs that wait on purpose: no slot, a clock that stands still, on with the journal."""

from datetime import timedelta

from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.run import RunStatus
from amodal_rt.operations.run_pages import standing_of
from amodal_rt.ports import RUNS_PENDING, Caller

ADA = Caller(actor="ada", door="cli")
DONE = Outcome(status=RunStatus.COMPLETED)
DAYS = timedelta(days=3)
ASKS = {"node": "ask", "reason": "awaiting_approval"}


def waits_once(desk, until: timedelta | None = DAYS, reason: str = "waiting") -> None:
    """The executor leaves a row, waits, and is done when it is asked again."""

    async def work(context) -> Outcome | Waiting:
        if context.run.resumes:
            return DONE
        data = {**ASKS, "reason": reason}
        await context.journal.record(EntryType.NODE_WAITING, step="ask", data=data)
        due = None if until is None else desk.clock.now() + until
        return Waiting(reason=reason, until=due)

    desk.executor.work = work


async def carried(desk) -> None:
    async with desk.running():
        await desk.clock.settle()


async def test_a_run_that_waits_holds_no_slot_and_goes_on_at_its_instant(desk):
    waits_once(desk, timedelta(seconds=60))
    job = desk.put("job", limits={"concurrency": 1})

    async with desk.running():
        first, second = await desk.start(job), await desk.start(job)
        await desk.clock.advance(59)
        waiting = [await desk.run(first), await desk.run(second)]
        await desk.clock.advance(1)
        await desk.clock.settle()

    assert [each.reason for each in waiting] == ["waiting", "waiting"]
    assert {each.status for each in await desk.runs()} == {RunStatus.COMPLETED}


async def test_it_waits_for_days_while_no_daemon_runs(desk):
    waits_once(desk)
    run_id = await desk.start(desk.put("job"))

    await carried(desk)
    await desk.clock.advance(DAYS - timedelta(hours=1))
    await carried(desk)
    early = await desk.run(run_id)
    await desk.clock.advance(timedelta(hours=1))
    await carried(desk)

    assert (early.status, early.reason) == (RunStatus.PENDING, "waiting")
    assert (await desk.run(run_id)).status is RunStatus.COMPLETED


async def test_an_answer_wakes_it_at_once(desk):
    waits_once(desk, reason="awaiting_approval")
    run_id = await desk.start(desk.put("job"))

    async with desk.running():
        assert await desk.ledger.answer(
            run_id, step="ask", data={"approved": True}, at=desk.clock.now()
        )
        desk.signals.notify(RUNS_PENDING)
        await desk.clock.settle()

    assert (await desk.run(run_id)).status is RunStatus.COMPLETED


async def test_its_time_stands_still_while_it_waits(desk):
    """Two waits of two hours within a limit of 160 seconds, of which it uses 150."""

    async def work(context) -> Outcome | Waiting:
        await context.journal.record(EntryType.NODE_STARTED, step="a", data={"node": "a"})
        await desk.clock.sleep(30 if context.run.resumes else 90)
        await context.journal.record(EntryType.NODE_FINISHED, step="a", data={"node": "a"})
        if context.run.resumes > 1:
            return DONE
        return Waiting(reason="waiting", until=desk.clock.now() + timedelta(hours=2))

    desk.executor.work = work
    run_id = await desk.start(desk.put("job", limits={"timeoutSeconds": 160}))

    for _ in range(3):
        async with desk.running():
            await desk.clock.advance(100)
        await desk.clock.advance(timedelta(hours=2))

    run = await desk.run(run_id)
    assert (run.status, run.error) == (RunStatus.COMPLETED, None)


async def test_what_it_ran_before_a_wait_counts_against_its_limit(desk):
    async def work(context) -> Outcome | Waiting:
        await context.journal.record(EntryType.NODE_STARTED, step="a", data={"node": "a"})
        await desk.clock.sleep(90)
        return Waiting(reason="waiting", until=desk.clock.now())

    desk.executor.work = work
    run_id = await desk.start(desk.put("job", limits={"timeoutSeconds": 160}))

    async with desk.running():
        await desk.clock.advance(170)

    run = await desk.run(run_id)
    assert (run.status, run.reason) == (RunStatus.FAILED, "timed_out")


async def test_paused_while_it_waits_it_is_cancelled(desk):
    waits_once(desk)
    run_id = await desk.start(desk.put("job"))

    async with desk.running():
        desk.put("job", status="paused")
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert run.status is RunStatus.CANCELLED
    assert "paused" in (run.rule or "")


async def test_it_goes_on_with_the_version_that_it_began_with(desk):
    waits_once(desk)
    before = desk.put("job", prompt="one")
    desk.shelf.versions["job", before.hash] = before
    await desk.start(before)

    await carried(desk)
    desk.put("job", prompt="two")
    await desk.clock.advance(DAYS)
    await carried(desk)

    assert [each.definition.hash for each in desk.executor.contexts] == [before.hash] * 2


async def test_cut_off_before_it_did_anything_after_a_wait_of_days_it_goes_on(desk):
    waits_once(desk)
    run_id = await desk.start(desk.put("job"))
    await carried(desk)
    await desk.clock.advance(DAYS)
    await desk.ledger.claim(limit=1, overall=9, now=desk.clock.now())
    await desk.ledger.join(host="a", pid=1, version="1", lease=timedelta(hours=1))

    await carried(desk)

    run = await desk.run(run_id)
    assert (run.status, run.error, run.resumes) == (RunStatus.COMPLETED, None, 2)


async def test_a_wait_is_no_new_attempt(desk):
    waits_once(desk)
    run_id = await desk.start(desk.put("job"))

    await carried(desk)
    waiting = await desk.run(run_id)
    await desk.clock.advance(DAYS)
    await carried(desk)

    assert (waiting.status.value, waiting.attempt) == ("pending", 1)
    assert (await desk.run(run_id)).attempt == 1
    assert {each.attempt for each in await desk.ledger.entries(run_id)} == {1}


async def test_what_follows_a_run_hears_of_each_of_its_waits(desk):
    standings: list[str] = []

    async def work(context) -> Outcome | Waiting:
        standings.append(standing_of(context.run))
        if context.run.resumes > 1:
            return DONE
        return Waiting(reason="waiting", until=desk.clock.now() + timedelta(seconds=1))

    desk.executor.work = work
    run_id = await desk.start(desk.put("job"))

    for _ in range(3):
        async with desk.running():
            await desk.clock.settle()
        standings.append(standing_of(await desk.run(run_id)))
        await desk.clock.advance(1)

    assert standings == [
        *("1-running", "1.1-pending-waiting"),
        *("1.1-running", "1.2-pending-waiting"),
        *("1.2-running", "1.2-completed"),
    ]


async def test_what_fails_after_a_wait_is_tried_again_as_often_as_the_rule_says(desk):
    async def work(context) -> Outcome | Waiting:
        if context.run.resumes < context.run.attempt:
            return Waiting(reason="waiting", until=desk.clock.now() + timedelta(seconds=1))
        raise RuntimeError("no")

    desk.executor.work = work
    retry = {"attempts": 1, "backoffSeconds": 10}
    run_id = await desk.start(desk.put("job", retry=retry))

    async with desk.running():
        await desk.clock.advance(60)

    run = await desk.run(run_id)
    assert (run.status.value, run.attempt, run.resumes) == ("failed", 2, 2)
    kinds = [each.type for each in await desk.ledger.entries(run_id)]
    assert kinds.count(EntryType.RUN_RETRIED) == 1


async def test_waits_are_no_crashes(desk):
    """A run may wait as often as it likes and still go on after a crash."""

    async def work(context) -> Outcome | Waiting:
        await context.journal.record(EntryType.NODE_STARTED, step="a", data={"node": "a"})
        return Waiting(reason="waiting", until=desk.clock.now() + timedelta(seconds=1))

    desk.executor.work = work
    run_id = await desk.start(desk.put("job"))
    async with desk.running():
        await desk.clock.advance(5)
    await desk.clock.advance(1)
    waited = (await desk.run(run_id)).resumes
    await desk.ledger.claim(limit=1, overall=9, now=desk.clock.now())
    await desk.ledger.join(host="a", pid=1, version="1", lease=timedelta(hours=1))
    desk.executor.work = desk.executor._done

    await carried(desk)

    assert waited > 3
    assert (await desk.run(run_id)).status is RunStatus.COMPLETED


async def test_what_was_claimed_and_not_begun_when_the_daemon_stops_keeps_its_journal(desk):
    waits_once(desk)
    run_id = await desk.start(desk.put("job"))
    await carried(desk)
    await desk.clock.advance(DAYS)
    (run,) = await desk.ledger.claim(limit=1, overall=9, now=desk.clock.now())

    engine = desk.engine()
    await engine._recovery.give_back(run)

    entries = await desk.ledger.entries(run_id)
    assert EntryType.RUN_RETRIED not in [each.type for each in entries]
    assert (await desk.run(run_id)).resumes == 2
