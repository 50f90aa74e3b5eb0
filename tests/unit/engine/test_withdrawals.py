"""What waits does not outlive its automation."""

import asyncio

from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus

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
