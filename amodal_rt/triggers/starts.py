"""A wish for one run, with everything that the ledger needs to rule on it."""

from dataclasses import replace
from datetime import datetime

from amodal_rt.domain.automation import Automation, Definition, OnLimit
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.event import Event
from amodal_rt.domain.identity import Identities
from amodal_rt.domain.run import SkippedReason, Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.ids import Ids
from amodal_rt.ports import MAXIMUM_DEPTH, Caller
from amodal_rt.triggers.holds import Hold
from amodal_rt.triggers.keys import Keys, keys_for, order_key

NO_KEYS = Keys()
MEMBER = "member:"
"""What an actor begins with that came through one of our own doors."""


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
    """A start that nothing has ruled out: what a person asks for, also while paused. Requester
    is `runAs`, else who asks."""
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
        requester=automation.run_as or (caller.actor if caller else None),
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
    hold: Hold | None = None,
    identities: Identities | None = None,
) -> Start:
    """A start that an event causes, ruled out already with `hold`. Depth is the event's: it was
    counted from its cause. Requester is `runAs`, else the member behind the event's actor."""
    automation = definition.automation
    # What never runs must not take its place among those of its keys.
    keys = NO_KEYS if hold else keys_for(automation, event)
    # Not made from a plain one: accepting a webhook would make every start twice.
    return Start(
        run_id=ids.run(),
        automation=automation.name,
        title=automation.title,
        trigger=kind,
        definition=definition.hash,
        created_at=now,
        concurrency=automation.limits.concurrency,
        on_limit=on_limit_for(automation, kind),
        starts_per_hour=automation.limits.starts_per_hour,
        event_id=event.id,
        depth=event.depth,
        requester=automation.run_as or member_behind(event.actor, identities),
        actor=event.actor,
        door=kind.value,
        conversation_key=keys.conversation,
        order_key=order_key(event) if _is_ordered(keys) else None,
        idempotency_key=keys.idempotency,
        coalesce=keys.coalesce,
        fault=keys.fault,
        skip=hold.reason if hold else None,
        rule=hold.rule if hold else None,
    )


def _is_ordered(keys: Keys) -> bool:
    """Whether it matters which of two events is the newer, in whatever order they came."""
    return keys.conversation is not None or keys.coalesce is not None


def on_limit_for(automation: Automation, kind: TriggerKind) -> OnLimit:
    """What a start by an event does over the limit: of a conversation nothing is passed over, and
    what waits for its window was accepted for then, whatever runs now."""
    waits = automation.conversation_key is not None or automation.coalesce is not None
    if waits and automation.limits.on_limit is None:
        return OnLimit.QUEUE
    return automation.limits.over(kind)


def member_behind(actor: str | None, identities: Identities | None) -> str | None:
    """The member that an event's actor is, or None."""
    if actor is None:
        return None
    if actor.startswith(MEMBER):
        id = actor.removeprefix(MEMBER)
        return id if identities is None or identities.is_member(id) else None
    found = identities.find(actor) if identities else None
    return found.id if found else None


def depth_rule(depth: int, by: str | None) -> str | None:
    """Why a start that deep in a chain is not made, in words; None when it may be."""
    if depth <= MAXIMUM_DEPTH:
        return None
    caused = f", caused by {by}" if by else ""
    return f"a chain of events is at most {MAXIMUM_DEPTH} deep; this one is {depth}{caused}"
