"""What waits does not outlive its automation."""

import asyncio
from datetime import timedelta

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.engine.withdrawals import AGAIN_SECONDS, AWAY, Withdrawals
from amodal_rt.ports import RunFilter
from amodal_rt.testing.ledger import MemoryLedger, MemoryStore

ONE = {"concurrency": 1}


async def hold(desk) -> asyncio.Event:
    """Runs go on until the event is set."""
    gate = asyncio.Event()

    async def wait(context) -> Outcome:
        await gate.wait()
        return Outcome(status=RunStatus.COMPLETED)

    desk.executor.work = wait
    return gate


async def statuses(desk) -> list[str]:
    return [run.status.value for run in reversed(await desk.runs())]


async def test_deleting_the_file_cancels_what_waits_and_lets_the_running_run_finish(desk):
    gate = await hold(desk)
    definition = desk.put("job", limits=ONE)
    async with desk.running():
        await desk.start(definition)
        waiting = await desk.start(definition)
        await desk.clock.settle()
        desk.take("job")
        await desk.clock.settle()
        assert await statuses(desk) == ["running", "cancelled"]
        gate.set()
        await desk.clock.settle()

    assert await statuses(desk) == ["completed", "cancelled"]
    assert (await desk.run(waiting)).rule == "the file was deleted (workspace, file)"


async def test_a_file_that_begins_to_pause_cancels_what_waits(desk):
    gate = await hold(desk)
    desk.put("other")
    definition = desk.put("job", limits=ONE)
    async with desk.running():
        await desk.start(definition)
        await desk.start(definition)
        await desk.clock.settle()
        paused = desk.put("job", limits=ONE, status="paused")
        await desk.clock.settle()
        assert await statuses(desk) == ["running", "cancelled"]

        # What a person starts while it is paused runs, whatever else is read again.
        await desk.start(paused)
        desk.put("other", description="read again")
        await desk.clock.settle()
        gate.set()
        await desk.clock.settle()

    assert await statuses(desk) == ["completed", "cancelled", "completed"]


async def test_a_prompt_edit_cancels_nothing(desk):
    gate = await hold(desk)
    definition = desk.put("job", limits=ONE)
    async with desk.running():
        await desk.start(definition)
        await desk.start(definition)
        await desk.clock.settle()
        desk.put("job", limits=ONE, prompt="other")
        await desk.clock.settle()
        gate.set()
        await desk.clock.settle()

    assert await statuses(desk) == ["completed", "completed"]


async def test_a_file_that_pauses_while_no_daemon_runs_cancels_what_waits(desk):
    active = desk.put("job")
    desk.shelf.versions["job", active.hash] = active
    waiting = await desk.start(active)
    other = await desk.start(desk.put("other"))
    desk.put("job", status="paused")
    async with desk.running():
        await desk.clock.settle()

    assert (await desk.run(waiting)).status == "cancelled"
    assert "status paused in automations/job.json:1" in (await desk.run(waiting)).rule
    assert (await desk.run(other)).status == "completed"


async def test_what_a_person_started_while_it_was_paused_waits_for_the_next_daemon(desk):
    desk.put("job")
    paused = desk.put("job", status="paused")
    desk.shelf.versions["job", paused.hash] = paused
    waiting = await desk.start(paused)
    async with desk.running():
        await desk.clock.settle()

    assert (await desk.run(waiting)).status == "completed"


async def test_a_file_that_is_deleted_while_no_daemon_runs_cancels_what_waits(desk):
    waiting = await desk.start(desk.put("job"))
    desk.take("job")
    async with desk.running():
        await desk.clock.advance(2 * AGAIN_SECONDS)

    assert (await desk.run(waiting)).rule == "the file was deleted (workspace, file)"


async def test_what_another_node_has_the_file_of_is_left_to_it_until_it_has_none(desk):
    store, lease = MemoryStore(), timedelta(seconds=30)
    here, there = (MemoryLedger(store, clock=desk.clock) for _ in range(2))
    for each in (here, there):
        await each.join(host="a", pid=1, version="1", lease=lease)
    await there.hold({"job": ()})
    desk.ledger = here
    job = desk.put("job")
    follow = Withdrawals(
        ledger=here, catalogue=desk.shelf, signals=ProcessSignals(), clock=desk.clock
    )
    await follow.look()
    await desk.start(job)
    desk.take("job")

    async def status() -> str:
        await follow.look()
        (run,) = await here.list_runs(RunFilter(automation="job"))
        return run.status.value

    assert await status() == "pending"
    await there.leave()
    await desk.clock.advance(AGAIN_SECONDS)
    assert await status() == "pending", "it may be restarting"
    await desk.clock.advance(AWAY)
    assert await status() == "cancelled"


async def test_of_what_no_node_has_any_more_nothing_waits_and_what_is_back_waits_on(desk):
    store, lease = MemoryStore(), timedelta(hours=2)
    here, there = (MemoryLedger(store, clock=desk.clock) for _ in range(2))
    for each in (here, there):
        await each.join(host="a", pid=1, version="1", lease=lease)
    desk.ledger = here
    follow = Withdrawals(
        ledger=here, catalogue=desk.shelf, signals=ProcessSignals(), clock=desk.clock
    )
    for name in ("one", "two"):
        await desk.start(desk.put(name))
    await there.hold({"one": (), "two": ()})
    await follow.look()
    for name in ("one", "two"):
        desk.take(name)
        await follow.look()
    desk.put("two")
    await there.hold({})
    await follow.look()

    runs = await here.list_runs(RunFilter())
    assert {each.automation: each.status.value for each in runs} == {
        "one": "cancelled", "two": "pending",
    }  # fmt: skip


async def test_what_comes_back_to_the_queue_after_its_file_was_deleted_is_cancelled(desk):
    gate = asyncio.Event()

    async def fail(context) -> Outcome:
        await gate.wait()
        return Outcome(status=RunStatus.FAILED, reason="error", error="no luck")

    desk.executor.work = fail
    definition = desk.put("job", retry={"attempts": 1, "backoffSeconds": 60})
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()
        desk.take("job")
        await desk.clock.settle()
        gate.set()
        await desk.clock.settle()
        assert await statuses(desk) == ["pending"]
        await desk.clock.advance(120)

    assert await statuses(desk) == ["cancelled"]
    assert (await desk.run(run_id)).rule == "the file was deleted (workspace, file)"
