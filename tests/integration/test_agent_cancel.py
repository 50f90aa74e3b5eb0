"""A run that is cancelled ends at once, wherever it is."""

import asyncio
from collections.abc import Callable

import pytest
from agent_house import AgentHouse, calls_then_done, request

from amodal_rt.domain.connection import Access, AccessRule, Intent
from amodal_rt.testing.model_server import Call, Turn


async def _cancelled_once(house: AgentHouse, reached: Callable[[], object]) -> None:
    context = await house.context(house.automation(write_enabled=True))
    task = asyncio.ensure_future(house.execute(context))
    for _ in range(3_000):
        if reached():
            break
        await asyncio.sleep(0.01)
    assert reached()
    task.cancel()
    started = house.clock.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert house.clock.monotonic() - started < 2
    house.entries = await house.ledger.entries(context.run.run_id)


async def test_while_the_model_thinks(house: AgentHouse) -> None:
    house.model.script(Turn(seconds=30))

    await _cancelled_once(house, lambda: house.model.requests)

    assert house.types()[-1] == "turn.started"


async def test_while_a_write_is_under_way_its_outcome_stays_open(house: AgentHouse) -> None:
    house.rest()
    house.service.answers = [30.0]
    house.model.script(*calls_then_done(request("POST", "/deals")))

    await _cancelled_once(house, lambda: house.service.requests)

    assert house.types()[-1] == "write.started"


async def test_while_an_mcp_tool_is_slow_and_the_server_lives_on(house: AgentHouse) -> None:
    rule = AccessRule(match="*", intent=Intent.READ)
    house.mcp(access=Access(tools=(rule,)))
    house.model.script(*calls_then_done(Call("tools__slow", {"seconds": 1})))

    await _cancelled_once(house, house.mcp_calls)

    assert house.executor.services.pool.alive("tools")
    house.model.script(*calls_then_done(Call("tools__read_items", {})))
    outcome = await house.run()
    assert outcome.text == "done"


async def test_while_sub_agents_work(house: AgentHouse) -> None:
    def answer(asked):
        if asked.user.startswith("task"):
            return Turn(seconds=30)
        return Turn(calls=[Call("dispatch_task", {"task": f"task {each}"}) for each in range(3)])

    house.model.answer(answer)

    await _cancelled_once(house, lambda: len(house.model.requests) == 4)

    assert house.types()[-1] == "turn.started"
