"""Which automations an event starts.

An own webhook is an event addressed to one automation; it goes through here like every
other, so that pauses, depth and filters mean the same on every road.
"""

from collections.abc import Mapping
from datetime import datetime

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.event import Event
from amodal_rt.domain.run import SkippedReason, Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ids import Ids
from amodal_rt.ports import AutomationFacts
from amodal_rt.triggers.starts import depth_rule, pause_rule, start_for_event


def starts_for(
    event: Event,
    snapshot: Snapshot,
    facts: Mapping[str, AutomationFacts],
    *,
    ids: Ids,
    now: datetime,
) -> tuple[list[Start], int]:
    """The starts of all automations that the event is addressed to or matches, and how many
    it missed. An automation that cannot run at all is no match."""
    if event.address is None:
        return [], len(snapshot.automations)
    definition = snapshot.find(event.address)
    if definition is None:
        return [], 0
    skip, rule = _ruling(event, definition, facts.get(event.address))
    start = start_for_event(
        definition, TriggerKind.WEBHOOK, event, ids=ids, now=now, skip=skip, rule=rule
    )
    return [start], 0


def _ruling(
    event: Event, definition: Definition, facts: AutomationFacts | None
) -> tuple[SkippedReason | None, str | None]:
    too_deep = depth_rule(event.depth, event.actor)
    if too_deep:
        return SkippedReason.DEPTH_LIMIT, too_deep
    paused = pause_rule(definition, facts)
    return (SkippedReason.PAUSED, paused) if paused else (None, None)
