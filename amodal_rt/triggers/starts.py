"""A wish for one run, with everything that the ledger needs to rule on it."""

from dataclasses import replace
from datetime import datetime

from amodal_rt.domain.automation import Automation, Definition, Lifecycle
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.event import Event
from amodal_rt.domain.run import SkippedReason, Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.ids import Ids
from amodal_rt.ports import MAXIMUM_DEPTH, AutomationFacts, Caller


def start_for(
    definition: Definition,
    kind: TriggerKind,
    *,
    ids: Ids,
    now: datetime,
    payload: object = None,
    event_id: str | None = None,
    caller: Caller | None = None,
    rehearse: bool = False,
) -> Start:
    """A start that nothing has ruled out: what a person asks for, also while paused."""
    automation = definition.automation
    return Start(
        run_id=ids.run(),
        automation=automation.name,
        title=automation.title,
        trigger=kind,
        definition=definition.hash,
        created_at=now,
        concurrency=automation.limits.concurrency,
        on_limit=automation.limits.over(kind),
        starts_per_hour=automation.limits.starts_per_hour,
        event_id=event_id,
        payload=payload,
        requester=caller.actor if caller else None,
        actor=caller.actor if caller else None,
        door=caller.door if caller else None,
        rehearse=rehearse,
    )


def caused_by(cause: Cause, start: Start) -> Start:
    """The start as a run asks for it: one deeper in its chain, or ruled out by that."""
    depth = cause.depth + 1
    rule = depth_rule(depth, cause.sentence())
    skip = SkippedReason.DEPTH_LIMIT if rule else None
    return replace(start, depth=depth, skip=skip, rule=rule)


def start_for_event(
    definition: Definition,
    kind: TriggerKind,
    event: Event,
    *,
    ids: Ids,
    now: datetime,
    skip: SkippedReason | None,
    rule: str | None,
) -> Start:
    """A start that an event causes. Depth is the event's: it was counted from its cause."""
    automation = definition.automation
    # Not made from a plain one: accepting a webhook would make every start twice.
    return Start(
        run_id=ids.run(),
        automation=automation.name,
        title=automation.title,
        trigger=kind,
        definition=definition.hash,
        created_at=now,
        concurrency=automation.limits.concurrency,
        on_limit=automation.limits.over(kind),
        starts_per_hour=automation.limits.starts_per_hour,
        event_id=event.id,
        depth=event.depth,
        actor=event.actor,
        door=kind.value,
        skip=skip,
        rule=rule,
    )


def depth_rule(depth: int, by: str | None) -> str | None:
    """Why a start that deep in a chain is not made, in words; None when it may be."""
    if depth <= MAXIMUM_DEPTH:
        return None
    caused = f", caused by {by}" if by else ""
    return f"a chain of events is at most {MAXIMUM_DEPTH} deep; this one is {depth}{caused}"


def pause_rule(definition: Definition, facts: AutomationFacts | None) -> str | None:
    """Why the automation may not start by itself now, in words; None when it may.

    The stricter of file and ledger holds.
    """
    if facts is not None and facts.paused:
        return "paused" + (f": {facts.paused_reason}" if facts.paused_reason else "")
    return _file_rule(definition, definition.automation)


def _file_rule(definition: Definition, automation: Automation) -> str | None:
    if automation.status is Lifecycle.ACTIVE:
        return None
    return f"status {automation.status} in {definition.place('/status')}"
