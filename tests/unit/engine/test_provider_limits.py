"""What waits for a provider stays in the queue, and takes nobody's slot."""

from amodal_rt.domain.run import RunStatus
from amodal_rt.guardrails.pacing import Pacing

SLOW = "openai:slow"


async def test_runs_wait_for_their_provider_and_others_go_on(desk):
    pacing = Pacing(desk.clock)
    slow = desk.put("slow", model=SLOW)
    quick = desk.put("quick", model="anthropic:quick")
    async with desk.running() as engine:
        engine.pace_with(pacing)
        pacing.slow(SLOW, seconds=30)
        waiting = [await desk.start(slow) for _ in range(3)]
        going = await desk.start(quick)
        await desk.clock.settle()

        found = [(await desk.run(each)).status for each in (*waiting, going)]
        assert found == [RunStatus.PENDING] * 3 + [RunStatus.COMPLETED]

        await desk.clock.advance(29)
        assert (await desk.run(waiting[0])).status is RunStatus.PENDING
        await desk.clock.advance(2)
        assert {(await desk.run(each)).status for each in waiting} == {RunStatus.COMPLETED}
