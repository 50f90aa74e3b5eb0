"""What cannot run here is left alone: another node may run it, or this one later."""

from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.workspace import MODEL_KEY_MISSING

NO_TOKEN = Problem(
    file="automations/job.json", line=3, code="env_missing", message="TOKEN is not set"
)
NO_KEY = Problem(file="amodal.json", code=MODEL_KEY_MISSING, message="KEY is not set")


async def test_what_is_blocked_waits_and_runs_when_its_variable_is_there(desk):
    definition = desk.put("job")
    waiting = [await desk.start(definition) for _ in range(5)]
    desk.block("job", NO_TOKEN)
    async with desk.running():
        await desk.clock.advance(4 * 3600)
        assert {(await desk.run(run_id)).status for run_id in waiting} == {"pending"}
        desk.put("job")
        await desk.clock.settle()

    assert {(await desk.run(run_id)).status for run_id in waiting} == {"completed"}
    assert len(desk.executor.contexts) == 5


async def test_what_only_another_node_has_is_left_to_it(desk):
    desk.put("other")
    definition = desk.put("job")
    run_id = await desk.start(definition)
    desk.take("job")
    await desk.engine()._fill()
    await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.term) == ("pending", 0)


async def test_a_retry_waits_for_its_variable(desk):
    definition = desk.put("job", retry={"attempts": 1, "backoffSeconds": 60})

    async def fail_once(context) -> Outcome:
        first = context.run.attempt == 1
        return Outcome(status=RunStatus.FAILED if first else RunStatus.COMPLETED, reason=None)

    desk.executor.work = fail_once
    async with desk.running():
        run_id = await desk.start(definition)
        await desk.clock.settle()
        desk.block("job", NO_TOKEN)
        await desk.clock.advance(3600)
        assert (await desk.run(run_id)).status == "pending"
        desk.put("job")
        await desk.clock.settle()

    run = await desk.run(run_id)
    assert (run.status, run.attempt) == ("completed", 2)


async def test_without_a_model_key_rehearsals_run_and_runs_wait(desk):
    definition = desk.put("job")
    desk.block("job", NO_KEY)
    async with desk.running():
        real = await desk.start(definition)
        rehearsal = await desk.start(definition, rehearse=True)
        await desk.clock.settle()

    assert (await desk.run(real)).status == "pending"
    assert (await desk.run(rehearsal)).status == "completed"
