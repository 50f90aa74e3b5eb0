"""Where a run enters a graph, and what it is told of what started it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workflow import Node, NodeKind, TriggerWork, Workflow
from amodal_rt.executors.workflow.entering import entry_of, payload_of, trigger_of

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def graph(*events: str | None) -> Workflow:
    """Trigger nodes t0, t1 … for these events, behind a node where runs begin."""
    nodes = {
        f"t{place}": Node(id=f"t{place}", kind=NodeKind.TRIGGER, work=TriggerWork(event=event))
        for place, event in enumerate(events)
    }
    first = Node(id="first", kind=NodeKind.TRANSFORM, work=TriggerWork(event="never.said"))
    return Workflow(
        name="flow",
        start="first",
        nodes={"first": first, **nodes},
        hash="h",
        document="{}",
        file="workflows/flow.json",
    )


@pytest.mark.parametrize(
    ("events", "trigger", "entry"),
    [
        (("github.issues.opened", "github.*"), "github.issues.opened", "t0"),
        (("github.*", "github.issues.opened"), "github.issues.opened", "t1"),
        (("github.*", None), "github.push", "t0"),
        (("github.*", None), "slack.message", "t1"),
        ((None, "workflow.scheduled"), "workflow.scheduled", "t1"),
        (("github.*",), "manual", "first"),
        ((), "manual", "first"),
    ],
)
def test_the_trigger_node_that_names_it_best_is_the_entry(
    events: tuple[str | None, ...], trigger: str, entry: str
) -> None:
    assert entry_of(graph(*events), trigger) == entry


class _Run:
    def __init__(self, **changes: Any) -> None:
        self.trigger = TriggerKind.MANUAL
        self.scheduled_for: datetime | None = None
        self.payload: object = {"n": 1}
        self.__dict__.update(changes)


class _Context:
    def __init__(self, event: Any = None, **changes: Any) -> None:
        self.run, self.event = _Run(**changes), event


class _Event:
    type, data = "github.push", {"ref": "main"}


@pytest.mark.parametrize(
    ("context", "trigger", "payload"),
    [
        (_Context(), "manual", {"n": 1}),
        (_Context(trigger=TriggerKind.INVOKED), "invoked", {"n": 1}),
        (_Context(trigger=TriggerKind.CRON, scheduled_for=AT), "workflow.scheduled", {"n": 1}),
        (_Context(trigger=TriggerKind.CATCH_UP, scheduled_for=AT), "workflow.scheduled", {"n": 1}),
        (_Context(_Event(), trigger=TriggerKind.EVENT), "github.push", {"ref": "main"}),
        (_Context(_Event(), trigger=TriggerKind.WEBHOOK), "webhook", {"ref": "main"}),
    ],
)
def test_a_run_is_told_what_started_it_and_what_came_with_it(
    context: Any, trigger: str, payload: object
) -> None:
    assert (trigger_of(context), payload_of(context)) == (trigger, payload)
