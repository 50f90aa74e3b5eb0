"""The shapes in which tools tell of automations and runs."""

from collections.abc import Mapping, Sequence
from typing import cast

from amodal_rt import ids
from amodal_rt.clock import iso
from amodal_rt.domain.automation import AgentWork, Automation, Lifecycle, WorkflowRun
from amodal_rt.domain.params import ParamTest
from amodal_rt.domain.run import Run
from amodal_rt.domain.schedule import describe
from amodal_rt.domain.trigger import CronTrigger, EventTrigger, ManualTrigger, Trigger
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.operations import automation_shapes, shapes
from amodal_rt.operations.automation_shapes import Standing
from amodal_rt.operations.managing import lifecycle_of
from amodal_rt.operations.shapes import Document
from amodal_rt.operations.triggers import Placed, placed

LONGEST_TEXT = 20_000
"""Characters of one text of a result: models read it, and the whole has other doors."""


def thread_of(run_id: str) -> str:
    """`thrd_…` for `run_…`."""
    return f"thrd_{run_id.removeprefix('run_')}"


def triggers_of(parsed: Automation | None) -> Sequence[Placed]:
    """The triggers that are told of: a person needs none."""
    if parsed is None:
        return ()
    return [each for each in placed(parsed) if not isinstance(each.trigger, ManualTrigger)]


def automation_row(standing: Standing) -> Document:
    """One of a list."""
    parsed = _parsed(standing)
    status, reason = automation_shapes.status_of(standing)
    return {
        "id": ids.automation(standing.state.name),
        "lookup_key": standing.state.name,
        "name": _title(standing),
        "active": is_active(standing),
        "status": status,
        "reason": reason,
        "created_by": parsed.created_by if parsed else None,
        "created_at": iso(standing.dates.created_at if standing.dates else None),
        "trigger_count": len(triggers_of(parsed)),
        "nearest_next_run_at": iso(standing.next_run_at),
        "virtual_mcp_id": parsed.agent if parsed else None,
    }


def automation_whole(standing: Standing, snapshot: Snapshot, *, url: str | None) -> Document:
    """One, with what it asks and what starts it."""
    parsed = _parsed(standing)
    row = automation_row(standing)
    del row["trigger_count"]
    work = parsed.work if parsed else None
    return {
        **row,
        "updated_at": iso(standing.dates.updated_at if standing.dates else None),
        "description": parsed.description if parsed else None,
        "file": standing.state.file,
        "messages": _messages(parsed) if parsed else [],
        "workflow": work.workflow.name if isinstance(work, WorkflowRun) else None,
        "models": _models(parsed, snapshot) if parsed else None,
        "temperature": parsed.temperature if parsed else None,
        "tools": None if parsed is None or parsed.tools is None else list(parsed.tools),
        "writes": automation_shapes.writes(parsed) if parsed else None,
        "triggers": [
            trigger_object(each, standing, snapshot, url=url) for each in triggers_of(parsed)
        ],
    }


def trigger_object(
    found: Placed, standing: Standing, snapshot: Snapshot, *, url: str | None
) -> Document:
    """One trigger. `url` is where a webhook is sent to, for who may know."""
    trigger = found.trigger
    cron = trigger.schedule if isinstance(trigger, CronTrigger) else None
    events = (
        [each.event for each in trigger.conditions] if isinstance(trigger, EventTrigger) else []
    )
    return {
        "id": found.id,
        "type": trigger.kind.value,
        "cron_expression": describe(cron) if cron else None,
        "timezone": cron.timezone if cron else None,
        "connection_id": _connection(events, snapshot),
        "event_type": events[0] if events else None,
        "event_types": events,
        "params": _params(trigger),
        "url": url if trigger.kind.value == "webhook" else None,
        "last_run_at": _last_run_at(standing, trigger),
        "created_at": None,
    }


def run_row(run: Run) -> Document:
    """One run, as `ops runs list` has it, but for its deliveries, and its thread."""
    row = shapes.run(run)
    del row["deliveries"]
    return {"threadId": thread_of(run.run_id), **row}


def is_active(standing: Standing) -> bool:
    """Whether its triggers start runs."""
    return lifecycle_of(standing) is Lifecycle.ACTIVE


def shortened(value: object) -> object:
    """The value with a note in the place of what a text has beyond `LONGEST_TEXT`."""
    if isinstance(value, str):
        if len(value) <= LONGEST_TEXT:
            return value
        return f"{value[:LONGEST_TEXT]}… (cut: {LONGEST_TEXT:,} of {len(value):,} characters)"
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, object]", value)
        return {key: shortened(each) for key, each in fields.items()}
    if isinstance(value, list | tuple):
        return [shortened(each) for each in cast("Sequence[object]", value)]
    return value


def _title(standing: Standing) -> str:
    parsed = _parsed(standing)
    return parsed.title if parsed else standing.state.name


def _parsed(standing: Standing) -> Automation | None:
    definition = standing.state.definition
    return definition.automation if definition else None


def _messages(parsed: Automation) -> list[Document]:
    work = parsed.work
    if not isinstance(work, AgentWork):
        return []
    said = [(each.role, each.content) for each in work.messages]
    if work.template is not None:
        said.append(("user", work.template))
    return [{"role": role, "parts": [{"type": "text", "text": text}]} for role, text in said]


def _models(parsed: Automation, snapshot: Snapshot) -> Document:
    first = next(iter(parsed.models), None)
    tiered = first is not None and first in snapshot.settings.models
    return {
        "tier": first if tiered else None,
        "modelId": None if tiered else first,
        "fallbacks": list(parsed.models[1:]),
    }


def _connection(events: Sequence[str], snapshot: Snapshot) -> str | None:
    owner = events[0].partition(".")[0] if events else ""
    return owner if owner in snapshot.connections else None


def _params(trigger: Trigger) -> Document | None:
    if not isinstance(trigger, EventTrigger):
        return None
    found: Document = {}
    for param in trigger.conditions[0].wanted.params:
        plain = param.test is ParamTest.EQ and len(param.values) == 1
        found[param.key] = (
            param.values[0] if plain else {"op": param.test.value, "value": list(param.values)}
        )
    return found


def _last_run_at(standing: Standing, trigger: Trigger) -> str | None:
    """When it started the automation's last run; None where another one did."""
    last = standing.last_run
    return iso(last.created_at) if last is not None and last.trigger is trigger.kind else None
