"""Every way in which a run can change the world outside, on the trail: done, failed or refused."""

from dataclasses import replace

import pytest
import test_commands as commands
from agent_house import AgentHouse, calls_then_done, request
from workflow_house import WorkflowHouse, chain, node

from amodal_rt.domain.connection import Access, AccessRule, Intent, Store
from amodal_rt.domain.delivery import Target, TargetType
from amodal_rt.domain.trail import TrailFilter

START = {"kind": "trigger", "id": "start"}
POST = {"connection": "crm", "method": "POST", "endpoint": "/deals", "data": {"a": 1}}


async def trail(house: AgentHouse) -> list[tuple[str, str, str | None, str]]:
    """Action, who, step and door, oldest first, of what runs did."""
    rows = await house.ledger.trail(TrailFilter())
    return [(row.action, row.actor, row.step, row.door) for row in reversed(rows)]


@pytest.mark.parametrize("may", [True, False])
async def test_of_the_nodes_of_a_workflow(flows: WorkflowHouse, may: bool) -> None:
    flows.rest()
    flows.mcp(access=Access(tools=(AccessRule(match="*", intent=Intent.WRITE),)))
    flows.stores["seen"] = Store(name="seen", hash="s", schema={"type": "integer"})
    ops = Target(type=TargetType.WEBHOOK, label="#ops", url="https://ops.example/x")
    flows.settings["targets"] = {"ops": ops}
    work = chain(
        dict(START),
        node("store", "keep", store="seen", action="put", key="k", value=1),
        node("emit", "say", type="order.checked"),
        node("deliver", "tell", targets=["ops"], message="x"),
        node("request", "post", **POST),
        node("mcp", "call", connection="tools", tool="lookup", arguments={"name": "alpha"}),
    )

    await flows.walk(work, write_enabled=may)

    own = [
        ("store.written", "auto", "keep/store", "run"),
        ("event.emitted", "auto", "say/emit_event", "run"),
        ("delivery.owed", "auto", "tell/deliver", "run"),
    ]
    done = [
        (f"write.{word}", "auto", step, "run")
        for step in ("post/request", "call/mcp")
        for word in ("started", "finished")
    ]
    assert await trail(flows) == own + (
        done if may else [("tool.denied", "auto", "post/request", "run")]
    )


async def test_of_an_agents_tool_that_was_refused(house: AgentHouse) -> None:
    house.rest()
    house.model.script(*calls_then_done(request(method="POST", endpoint="/deals")))

    await house.run(house.automation(write_enabled=False))

    ((action, actor, _, door),) = await trail(house)
    assert (action, actor, door) == ("tool.denied", "auto", "run")


async def test_of_a_command_that_may_change_something(house: AgentHouse) -> None:
    reaching = replace(commands.BOX, network=(commands.WRITER,))
    for may in (False, True):
        await commands.command(house, "/bin/true", profile=reaching, write_enabled=may)

    assert [(action, door) for action, _, _, door in await trail(house)] == [
        ("tool.denied", "run"),
        ("write.started", "run"),
        ("write.finished", "run"),
    ]
