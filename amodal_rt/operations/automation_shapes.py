"""The JSON documents of automations (specification §9), and the words in which they are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from amodal_rt import ids
from amodal_rt.clock import iso
from amodal_rt.domain import schedule
from amodal_rt.domain.automation import (
    AgentWork,
    Automation,
    Definition,
    Lifecycle,
    Work,
    WorkflowRun,
)
from amodal_rt.domain.delivery import Target
from amodal_rt.domain.run import Run, SkippedReason
from amodal_rt.domain.workspace import AutomationState
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import AutomationFacts, LiveDates

INVALID = "invalid"
"""The status of an automation whose file cannot run as it is."""

_STRICTNESS = (Lifecycle.ACTIVE, Lifecycle.DRAFT, Lifecycle.PAUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Everything about one automation that its document is made of. `creator_rule` says why
    nobody answers for it any more; None while somebody does. `dates` is None for what never had a
    good version."""

    state: AutomationState
    facts: AutomationFacts
    next_run_at: datetime | None = None
    webhook_url: str | None = None
    last_run: Run | None = None
    creator_rule: str | None = None
    dates: LiveDates | None = None


def effective(definition: Definition, facts: AutomationFacts) -> Lifecycle:
    """The stricter of what the file and the ledger say."""
    ledger = Lifecycle.PAUSED if facts.paused else Lifecycle.ACTIVE
    return max(definition.automation.status, ledger, key=_STRICTNESS.index)


def automation(standing: Standing) -> Document:
    """One row of `ops automations list`."""
    state = standing.state
    parsed = state.definition.automation if state.definition else None
    webhook = parsed.webhook if parsed else None
    status, reason = status_of(standing)
    return {
        "name": state.name,
        "title": parsed.title if parsed else state.name,
        "id": ids.automation(state.name),
        "triggers": [each.kind.value for each in parsed.triggers] if parsed else [],
        "events": event_names(parsed),
        "schedule": schedule_text(parsed),
        "timezone": zone(parsed),
        "status": status,
        "reason": reason,
        "stale": state.stale,
        "signed": None if webhook is None else webhook.auth is not None,
        "next_run_at": iso(standing.next_run_at),
        "webhook_url": standing.webhook_url if webhook else None,
        "last_run": _last_run(standing.last_run),
    }


def automation_in_full(standing: Standing, *, local_only: bool) -> Document:
    """`ops automations show`: the row, and what a person asks next."""
    state, facts = standing.state, standing.facts
    definition = state.definition
    return {
        **automation(standing),
        "run_as": definition.automation.run_as if definition else None,
        "created_by": definition.automation.created_by if definition else None,
        "creator_rule": standing.creator_rule,
        "file": state.file,
        "definition": definition.hash if definition else None,
        "problems": [each.document() for each in (*state.problems, *state.blocked)],
        "paused": {"reason": facts.paused_reason, "at": iso(facts.paused_at)}
        if facts.paused
        else None,
        "local_only": local_only if definition and definition.automation.webhook else None,
        **_content(definition.automation if definition else None),
    }


def status_of(standing: Standing) -> tuple[str, str | None]:
    """What is shown as its status, and why it is not simply active."""
    state, facts = standing.state, standing.facts
    if state.invalid:
        wrong = [each for each in state.problems if each.severity == "error"]
        first = next(iter([*wrong, *state.blocked, *state.problems]), None)
        return INVALID, first.sentence() if first else None
    assert state.definition is not None
    status = effective(state.definition, facts)
    if standing.creator_rule and status is not Lifecycle.PAUSED:
        return Lifecycle.PAUSED.value, SkippedReason.CREATOR_INVALID.value
    if status is not Lifecycle.PAUSED:
        return status.value, None
    said = state.definition.automation.status is Lifecycle.PAUSED
    reason = f"the file says so: {state.definition.place('/status')}" if said else None
    return status.value, facts.paused_reason or reason


def schedule_text(parsed: Automation | None) -> str | None:
    """Its schedules, joined by `; `; None without any."""
    texts = [schedule.describe(each.schedule) for each in parsed.crons] if parsed else []
    return "; ".join(texts) or None


def event_names(parsed: Automation | None) -> list[str]:
    """The events that it waits for, each once, in file order."""
    triggers = parsed.events if parsed else ()
    return list(dict.fromkeys(each.event for one in triggers for each in one.conditions))


def zone(parsed: Automation | None) -> str | None:
    """The zone of its first schedule, else its own."""
    if parsed is None:
        return None
    return parsed.crons[0].schedule.timezone if parsed.crons else parsed.timezone


def _last_run(found: Run | None) -> Document | None:
    if found is None:
        return None
    return {
        "run_id": found.run_id,
        "status": found.status.value,
        "started_at": iso(found.started_at),
    }


def _content(parsed: Automation | None) -> Document:
    if parsed is None:
        return {**dict.fromkeys(_CONTENT)}
    alert = parsed.failure_alert
    return {
        "description": parsed.description,
        "metadata": dict(parsed.metadata),
        "lookup_key": parsed.lookup_key,
        "prompt": _prompt(parsed.work),
        "workflow": parsed.work.workflow.name if isinstance(parsed.work, WorkflowRun) else None,
        "agent": parsed.agent,
        "model": ", ".join(parsed.models) or None,
        "temperature": parsed.temperature,
        "connections": _listed(parsed.connections),
        "tools": _listed(parsed.tools),
        "writes": writes(parsed),
        "limits": limits(parsed),
        "delivery": _labels(parsed.delivery.targets if parsed.delivery else ()),
        "failure_alert": None
        if alert is None
        else {
            "after": alert.after,
            "cooldown_minutes": alert.cooldown.total_seconds() / 60,
            "targets": _labels(alert.targets),
        },
    }


def _prompt(work: Work) -> str | None:
    """The prompt as the file has it, a template before it is printed; None for other work."""
    if not isinstance(work, AgentWork):
        return None
    return work.messages[-1].content if work.template is None else work.template


_CONTENT: tuple[str, ...] = (
    "description", "metadata", "lookup_key", "prompt", "workflow", "agent", "model", "temperature",
    "connections", "tools", "writes", "limits", "delivery", "failure_alert",
)  # fmt: skip


def limits(parsed: Automation) -> Mapping[str, object]:
    limits = parsed.limits
    return {
        "concurrency": limits.concurrency,
        "on_limit": limits.on_limit.value if limits.on_limit else None,
        "timeout_seconds": limits.timeout.total_seconds(),
        "max_turns": limits.max_turns,
        "max_tokens": limits.max_tokens,
        "max_cost_usd": limits.max_cost_usd,
        "max_tokens_per_day": limits.max_tokens_per_day,
        "max_cost_usd_per_day": limits.max_cost_usd_per_day,
        "budget_model": list(limits.budget_models) or None,
        "starts_per_hour": limits.starts_per_hour,
        "webhook_bytes": limits.webhook_bytes,
        "writes": {"per_run": limits.writes.per_run, "per_hour": limits.writes.per_hour},
    }


def writes(parsed: Automation) -> str:
    """Its power to write, in words."""
    if not (parsed.write_enabled or parsed.proposes):
        return "read-only"
    said = _opened(parsed)
    return f"{said}; a person decides on each" if parsed.proposes else said


def _opened(parsed: Automation) -> str:
    bounds = parsed.limits.writes
    if parsed.writes is not None:
        count = len(parsed.writes)
        return (
            f"may make the {count} kind{'' if count == 1 else 's'} of write that it lists, up to "
            f"{bounds.per_run} a run and {bounds.per_hour} an hour"
        )
    return f"may write, up to {bounds.per_run} a run and {bounds.per_hour} an hour"


def _labels(targets: Sequence[Target]) -> list[str]:
    return [each.label for each in targets]


def _listed(names: tuple[str, ...] | None) -> list[str] | None:
    return None if names is None else list(names)
