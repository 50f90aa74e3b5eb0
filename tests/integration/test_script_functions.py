"""What scripts of a workflow call, through the run's own gate."""

from typing import Any

import pytest
from workflow_house import Ran, WorkflowHouse, graph, node

from amodal_rt.domain.connection import Store
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.executors.workflow.sandbox import MOST_CALLS

SCRIPT = {"kind": "Script", "id": "sum", "script": "1"}


def done(outcome: Outcome) -> object:
    assert (outcome.status, outcome.error) == (RunStatus.COMPLETED, None)
    return outcome.payload


async def test_a_script_gives_a_value_and_prints_lines(flows: WorkflowHouse) -> None:
    flows.rest()

    async def work(names: Any, functions: Any) -> object:
        found = await functions["request"]("crm", "GET", "/deals")
        again = await functions["request"](connection="crm", endpoint="/more")
        return Ran([found["body"], again["status"], names["trigger"]], ("one", "two s3cr3t-canary"))

    flows.sandbox.scripts["sum"] = work
    flow = graph(node("script", "sum", script="sum", timeout_seconds=5), data=[SCRIPT])

    outcome = await flows.walk(flow)

    assert done(outcome) == [[{"deal": 1}], 200, "manual"]
    assert outcome.output == ("one", "two [secret]")
    assert flows.nodes(EntryType.TOOL_FINISHED) == [
        ("tool.finished", "sum/request"),
        ("tool.finished", "sum/request#2"),
    ]
    assert flows.sandbox.seconds == [5.0]


async def test_what_a_script_may_not_do_is_refused_by_the_same_gate(flows: WorkflowHouse) -> None:
    flows.rest()

    async def work(names: Any, functions: Any) -> object:
        return await functions["request"]("crm", "DELETE", "/deals")

    flows.sandbox.scripts["sum"] = work

    outcome = await flows.walk(graph(node("script", "sum", script="sum"), data=[SCRIPT]))

    assert 'node "sum": refused: ' in (outcome.error or "")
    assert flows.nodes(EntryType.TOOL_DENIED) == [("tool.denied", "sum/request")]
    assert flows.service.requests == []


async def test_a_script_may_call_as_often_as_its_sandbox_lets_it(flows: WorkflowHouse) -> None:
    flows.stores["seen"] = Store(name="seen", hash="s", schema={})

    async def work(names: Any, functions: Any) -> object:
        return [await functions["get_value"]("seen", f"k{each}") for each in range(MOST_CALLS)]

    flows.sandbox.scripts["sum"] = work

    outcome = await flows.walk(graph(node("script", "sum", script="sum"), data=[SCRIPT]))

    assert done(outcome) == [None] * MOST_CALLS


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("request", {"connection": 7}, "request: connection: Input should be a valid string"),
        ("call_tool", {"connection": "crm", "tool": "x", "arguments": [1]},
         "call_tool: arguments: Input should be a valid dictionary"),
        ("get_value", {"store": "seen", "key": 5}, "get_value: key: Input should be a valid str"),
        ("query_store", {"store": "seen", "limit": "9"}, "query_store: limit: Input should be a"),
        ("query_store", {"store": "seen", "limit": 10**9}, "query_store: limit: Input should be l"),
        ("emit_event", {"type": 7}, "emit_event: type: Input should be a valid string"),
        ("emit_event", {"type": "a.b", "subject": "x" * 600},
         "invalid arguments: subject: String should have at most 512 characters"),
    ],
)  # fmt: skip
async def test_an_argument_of_another_type_is_told_by_name(
    flows: WorkflowHouse, name: str, given: dict[str, Any], said: str
) -> None:
    flows.rest()
    flows.stores["seen"] = Store(name="seen", hash="s", schema={})

    async def work(names: Any, functions: Any) -> object:
        return await functions[name](**given)

    flows.sandbox.scripts["sum"] = work

    outcome = await flows.walk(graph(node("script", "sum", script="sum"), data=[SCRIPT]))

    assert (outcome.error or "").startswith(f'node "sum": {said}')
    assert flows.service.requests == []
