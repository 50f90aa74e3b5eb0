"""What the walk itself costs, with a real ledger behind it, and what a large graph costs to check.

Both in time of the processor, which other work on the machine does not change.
"""

import json
import time
from collections.abc import Mapping
from typing import Any

from workflow_house import WorkflowHouse, chain, node

from amodal_rt.definitions.graph import parse_workflow
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus

NODES = 1_000
MOST_SECONDS = 2e-3
MOST_TO_CHECK = 0.1


async def test_a_node_costs_less_than_two_milliseconds(
    flows: WorkflowHouse, record_property: Any
) -> None:
    """Both rows of each node are on disk at the end."""
    middle = (node("transform", f"n{place}", value={"n": place}) for place in range(NODES - 1))
    context = await flows.context(flows.flow(chain(node("trigger", "start"), *middle)))

    before = time.process_time()
    outcome = await flows.flows.execute(context)
    spent = (time.process_time() - before) / NODES

    record_property("milliseconds_a_node", round(spent * 1e3, 3))
    assert isinstance(outcome, Outcome)
    assert outcome.status is RunStatus.COMPLETED
    entries = [await flows.ledger.entries(context.run.run_id, after=at) for at in (0, 1_000)]
    assert sum(map(len, entries)) == 2 * NODES
    assert spent < MOST_SECONDS, f"{spent * 1e3:.2f} ms a node"


def test_a_graph_of_a_thousand_nodes_is_checked_in_less_than_a_tenth_of_a_second(
    record_property: Any,
) -> None:
    spent = []
    for salt in range(3):
        # Other texts each time: what was checked before is remembered.
        text = json.dumps({"kind": "WorkflowGraph", "nodes": _mixed(salt)}).encode()
        before = time.process_time()
        parsed, problems = parse_workflow(text, file="workflows/large.json", scripts={})
        spent.append(time.process_time() - before)
        assert parsed is not None, problems
        assert len(parsed.nodes) == NODES

    record_property("milliseconds", round_ms(spent))
    assert min(spent) < MOST_TO_CHECK, f"{round_ms(spent)} ms"


def round_ms(spent: list[float]) -> list[int]:
    return [round(each * 1e3) for each in spent]


def _mixed(salt: int) -> list[Mapping[str, Any]]:
    """Transforms, requests, conditions and stores in a row, with templates of each form."""
    made: list[Mapping[str, Any]] = [node("trigger", "start", "n1")]
    for place in range(1, NODES):
        following = f"n{place + 1}" if place < NODES - 1 else None
        made.append(_one(place, following, salt))
    return made


def _one(place: int, following: str | None, salt: int) -> dict[str, Any]:
    id = f"n{place}"
    match place % 4:
        case 0:
            value = {"n": "{{ payload.n }}", "text": f"{salt}.{place}: {{{{ inputs.n1.text }}}}"}
            return node("transform", id, following, value=value)
        case 1:
            endpoint = f"/orders/{salt}-{place}/{{{{ payload.id }}}}"
            return node("request", id, following, connection="crm", endpoint=endpoint)
        case 2:
            ways = {"on_true": following, "on_false": following} if following else {}
            return node("condition", id, filter={"payload.n": {"exists": True}}, **ways)
        case _:
            return node("store", id, following, store="seen", action="get", key="{{ payload.id }}")
