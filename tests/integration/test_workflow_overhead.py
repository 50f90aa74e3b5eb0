"""What the walk itself costs, with a real ledger behind it."""

import time

from workflow_house import WorkflowHouse, chain, node

from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus

NODES = 1_000
MOST_SECONDS = 2e-3


async def test_a_node_costs_less_than_two_milliseconds(flows: WorkflowHouse) -> None:
    """In time of the processor, which other work on the machine does not change. Both rows of
    each node are on disk at the end."""
    middle = (node("transform", f"n{place}", value={"n": place}) for place in range(NODES - 1))
    context = await flows.context(flows.flow(chain(node("trigger", "start"), *middle)))

    before = time.process_time()
    outcome = await flows.flows.execute(context)
    spent = (time.process_time() - before) / NODES

    assert isinstance(outcome, Outcome)
    assert outcome.status is RunStatus.COMPLETED
    entries = [await flows.ledger.entries(context.run.run_id, after=at) for at in (0, 1_000)]
    assert sum(map(len, entries)) == 2 * NODES
    assert spent < MOST_SECONDS, f"{spent * 1e3:.2f} ms a node"
