"""Nodes that let the run wait outside a slot, for days and over restarts."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from workflow_house import WorkflowHouse, chain, graph, node

from amodal_rt.clock import iso, parse_iso
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.workflow import Workflow
from amodal_rt.ports import RunContext


class SetClock:
    """Moves the wall clock of a house."""

    def __init__(self, flows: WorkflowHouse) -> None:
        self.at = datetime(2026, 3, 2, 9, tzinfo=flows.clock.now().tzinfo)
        flows.clock.now = lambda: self.at

    def move(self, **length: float) -> None:
        self.at += timedelta(**length)


@pytest.fixture
def clock(flows: WorkflowHouse) -> SetClock:
    return SetClock(flows)


def waiting(*, then: str = "after", **keys: Any) -> Workflow:
    return chain(
        node("transform", "before", value="{{ payload }}"),
        node("wait", "pause", **keys),
        node("transform", then, value="{{ inputs.before }}"),
    )


def asking(**keys: Any) -> Workflow:
    return graph(
        node(
            "approval", "ask", message="Delete {{ payload }}?", on_true="yes", on_false="no", **keys
        ),
        node("transform", "yes", value="{{ inputs.ask }}"),
        node("transform", "no", value="{{ inputs.ask }}"),
    )


async def parked(flows: WorkflowHouse, work: Workflow) -> tuple[RunContext, Waiting]:
    """A run that has come to its wait, and waits."""
    context = await flows.context(flows.flow(work), payload="p")
    found = await flows.go(context)
    assert isinstance(found, Waiting)
    assert await flows.ledger.park(context.run, found, at=flows.clock.now())
    return context, found


async def woken(flows: WorkflowHouse, context: RunContext) -> Outcome:
    outcome = await flows.go(await flows.again(context, parked=True))
    assert isinstance(outcome, Outcome)
    return outcome


async def test_a_run_waits_for_days_and_goes_on_with_what_it_had(
    flows: WorkflowHouse, clock: SetClock
) -> None:
    context, found = await parked(flows, waiting(duration="3d"))
    assert (found.reason, found.until) == ("waiting", clock.at + timedelta(days=3))
    assert flows.entry(EntryType.NODE_WAITING, "pause").data == {
        "node": "pause", "reason": "waiting", "until": "2026-03-05T09:00:00Z",
    }  # fmt: skip
    clock.move(days=3)

    outcome = await woken(flows, context)

    assert (outcome.status, outcome.payload) == (RunStatus.COMPLETED, "p")
    assert flows.values()["pause"] == {"waited_until": "2026-03-05T09:00:00Z"}
    assert (
        len([step for type, step in flows.nodes(EntryType.NODE_STARTED) if step == "before"]) == 1
    )


async def test_an_instant_of_the_past_is_no_wait(flows: WorkflowHouse, clock: SetClock) -> None:
    work = waiting(until="{{ payload }}")

    outcome = await flows.walk(work, payload="2026-03-02T08:59:59Z")

    assert outcome.status is RunStatus.COMPLETED
    assert flows.of(EntryType.NODE_WAITING) == []


async def test_what_is_no_instant_fails_the_node(flows: WorkflowHouse) -> None:
    outcome = await flows.walk(waiting(until="{{ payload }}"), payload="tomorrow")

    assert outcome.error == "node \"pause\": until: 'tomorrow' is no ISO time with zone"


async def test_a_clock_set_back_does_not_let_it_wait_once_more(
    flows: WorkflowHouse, clock: SetClock
) -> None:
    context, _ = await parked(flows, waiting(duration="3d"))
    clock.move(days=3)
    run = await flows.again(context, parked=True)
    clock.move(days=-2)

    outcome = await flows.go(run)

    assert isinstance(outcome, Outcome)
    assert outcome.status is RunStatus.COMPLETED


async def test_cut_off_between_its_row_and_its_wait_it_waits_until_the_same_instant(
    flows: WorkflowHouse, clock: SetClock
) -> None:
    context = await flows.context(flows.flow(waiting(duration="3d")), payload="p")
    first = await flows.go(context)
    clock.move(minutes=10)

    second = await flows.go(await flows.again(context))

    assert isinstance(first, Waiting)
    assert second == first
    assert len(flows.of(EntryType.NODE_WAITING)) == 1


@pytest.mark.parametrize(("approved", "way"), [(True, "yes"), (False, "no")])
async def test_an_answer_decides_the_way(
    flows: WorkflowHouse, clock: SetClock, approved: bool, way: str
) -> None:
    context, found = await parked(flows, asking())
    assert (found.reason, found.until) == ("awaiting_approval", clock.at + timedelta(days=7))
    assert flows.entry(EntryType.NODE_WAITING, "ask").data["message"] == "Delete p?"
    said = {"approved": approved, "by": "ada", "note": "as said"}
    clock.move(days=2)
    assert await flows.ledger.answer(context.run.run_id, step="ask", data=said, at=clock.at)

    outcome = await woken(flows, context)

    assert outcome.payload == said
    assert list(flows.values()) == ["ask", way]


async def test_nobody_answers_and_the_answer_is_no(flows: WorkflowHouse, clock: SetClock) -> None:
    context, _ = await parked(flows, asking(expires="2h"))
    clock.move(hours=2)

    outcome = await woken(flows, context)

    assert outcome.payload == {"approved": False, "by": None, "note": "nobody answered in time"}
    assert list(flows.values()) == ["ask", "no"]


async def test_it_asks_again_each_time_it_comes_by(flows: WorkflowHouse, clock: SetClock) -> None:
    work = graph(
        node("approval", "ask", message="Go on?", on_true="ask", on_false="end", max_visits=3),
        node("transform", "end", value="end"),
    )
    context, _ = await parked(flows, work)
    yes = {"approved": True, "by": "ada", "note": None}
    assert await flows.ledger.answer(context.run.run_id, step="ask", data=yes, at=clock.at)

    second = await flows.go(await flows.again(context, parked=True))

    assert isinstance(second, Waiting)
    assert flows.nodes(EntryType.NODE_WAITING) == [
        ("node.waiting", "ask"),
        ("node.waiting", "ask#2"),
    ]


async def test_a_workflow_within_another_waits_too(flows: WorkflowHouse, clock: SetClock) -> None:
    flows.workflows["slow"] = waiting(duration="1h")
    work = chain(node("trigger", "start"), node("workflow", "call", workflow="slow", payload="in"))
    context, _ = await parked(flows, work)
    clock.move(hours=1)

    outcome = await woken(flows, context)

    assert outcome.payload == "in"
    assert flows.nodes(EntryType.NODE_WAITING) == [("node.waiting", "call/pause")]


async def test_a_branch_does_not_wait_in_another_workflow(flows: WorkflowHouse) -> None:
    flows.workflows["slow"] = waiting(duration="1h")
    work = graph(node("parallel", "both", branches=["a"]), node("workflow", "a", workflow="slow"))

    outcome = await flows.walk(work)

    assert "cannot wait within a branch" in (outcome.error or "")


async def test_an_instant_is_kept_to_the_millisecond(flows: WorkflowHouse, clock: SetClock) -> None:
    clock.at = clock.at.replace(microsecond=123_456)

    _, found = await parked(flows, waiting(duration="1h"))

    assert found.until == parse_iso(iso(found.until) or "")
