"""Where a run enters a graph, and with what."""

from amodal_rt.domain.glob import fits, is_glob
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workflow import SCHEDULED, TriggerWork, Workflow
from amodal_rt.ports import RunContext


def trigger_of(context: RunContext) -> str:
    """What started the run: the event's type, `workflow.scheduled`, `manual`, `webhook` or
    `invoked`."""
    kind = context.run.trigger
    if kind is TriggerKind.CRON or context.run.scheduled_for is not None:
        return SCHEDULED
    if kind is TriggerKind.EVENT and context.event is not None:
        return context.event.type
    return kind.value


def payload_of(context: RunContext) -> object:
    """What came with it: the event's data, else what the run was started with."""
    return context.run.payload if context.event is None else context.event.data


def entry_of(graph: Workflow, trigger: str) -> str:
    """The trigger node that stands for it: of its name, else of a glob that fits, else of
    whatever there is; without any, where every run begins."""
    works = [(each.id, each.work) for each in graph.nodes.values()]
    named = [(node, work.event) for node, work in works if isinstance(work, TriggerWork)]
    exact = (node for node, event in named if event == trigger)
    fitting = (node for node, event in named if event and is_glob(event) and fits(event, trigger))
    general = (node for node, event in named if event is None)
    return next((node for found in (exact, fitting, general) for node in found), graph.start)
