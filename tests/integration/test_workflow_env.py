"""Variables that an automation grants to its workflow: seen where they are used, kept nowhere."""

import json
from typing import Any

from workflow_house import Ran, WorkflowHouse, chain, graph, node

from amodal_rt.domain.connection import Store
from amodal_rt.domain.delivery import Target, TargetType
from amodal_rt.domain.run import RunStatus
from amodal_rt.testing.model_server import Turn

SECRET = "s3cr3t-canary"
"""The value of CRM_TOKEN, which a connection of the house names too."""
TOLD = "{{ env.CRM_TOKEN }}"


async def test_a_granted_variable_reaches_the_service_and_stands_in_no_row(
    flows: WorkflowHouse,
) -> None:
    flows.rest()
    flows.stores["seen"] = Store(name="seen", hash="s", schema={})
    flows.settings["targets"] = {
        "ops": Target(type=TargetType.WEBHOOK, label="#ops", url="https://ops.example/x")
    }
    flows.model.answer(lambda asked: Turn(text=f"I was told {SECRET}"))

    async def shout(names: Any, functions: Any) -> Ran:
        found = names["env"]["CRM_TOKEN"]
        await functions["put_value"]("seen", "script", {"token": found})
        return Ran({"token": found, "spelled": f"<{found}>"}, (f"it is {found}",))

    flows.sandbox.scripts["shout"] = shout
    script = {"kind": "Script", "id": "shout", "script": "1"}
    work = graph(
        node("transform", "start", "ask", value=[TOLD, {TOLD: 1}]),
        node(
            "request", "ask", "shout", connection="crm", endpoint="/deals", params={"key": TOLD},
            headers={"X-Region": TOLD},
        ),
        node("script", "shout", "keep", script="shout"),
        node("store", "keep", "say", store="seen", action="put", key="k", value={"t": TOLD}),
        node("emit", "say", "tell", type="order.checked", data={"t": TOLD}, subject=f"of {TOLD}"),
        node("deliver", "tell", "think", targets=["ops"], message=f"It is {TOLD}."),
        node("agent", "think", "bad", prompt=f"What is {TOLD}?"),
        node("transform", "bad", value=f"{TOLD} and {{{{ env.CRM_TOKEN.deeper }}}}",
             on_error="end"),
        node("transform", "end", value={"all": "{{ inputs }}", "token": TOLD}),
        data=[script],
    )  # fmt: skip

    outcome = await flows.walk(work, env=("CRM_TOKEN",))

    assert outcome.status is RunStatus.COMPLETED, outcome.error
    [asked] = flows.service.requests
    assert asked.path == f"/deals?key={SECRET}"
    assert asked.headers["X-Region"] == SECRET
    kept = json.dumps([each.data for each in flows.entries])
    assert "[secret]" in kept
    items = await flows.ledger.query("seen", now=flows.clock.now(), limit=9)
    owed = await flows.ledger.list_messages(limit=9)
    events = await flows.ledger.list_events(limit=9)
    assert (len(items), len(owed), len(events)) == (2, 1, 1)
    prompts = [json.dumps(each.body) for each in flows.model.requests]
    for place in (kept, items, owed, events, prompts, outcome):
        assert SECRET not in str(place)


async def test_only_what_was_granted_is_seen(flows: WorkflowHouse) -> None:
    flows.environment |= {"REGION": "eu", "OTHER": "hidden-value"}

    async def look(names: Any, functions: Any) -> object:
        return sorted(names["env"])

    flows.sandbox.scripts["look"] = look
    work = graph(
        node("script", "start", "inner", script="look"),
        node("workflow", "inner", "both", workflow="inner"),
        node("parallel", "both", "end", branches=["side"]),
        node("transform", "side", value="{{ env.REGION }}"),
        node("transform", "end", value=["{{ inputs.start }}", "{{ inputs.inner }}",
                                        "{{ inputs.side }}"]),
        data=[{"kind": "Script", "id": "look", "script": "1"}],
    )  # fmt: skip
    flows.workflows["inner"] = chain(node("transform", "region", value="{{ env.REGION }}"))

    seen = await flows.walk(work, env=("REGION", "UNSET"))
    refused = await flows.walk(chain(node("transform", "start", value="{{ env.OTHER }}")))

    assert seen.payload == [["REGION"], "eu", "eu"]
    assert refused.status is RunStatus.FAILED
    assert "there is no env.OTHER" in str(refused.error)
