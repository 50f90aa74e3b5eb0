"""What an event would do to one automation, with every condition that was tried. Starts nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.event import Event
from amodal_rt.domain.glob import fits
from amodal_rt.domain.run import SkippedReason, Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ids import Ids
from amodal_rt.ports import AutomationFacts
from amodal_rt.triggers.holds import Hold
from amodal_rt.triggers.index import own_accounts
from amodal_rt.triggers.matching import conditions_of, gate_rule, hold_for, whose_run
from amodal_rt.triggers.starts import start_for_event
from amodal_rt.triggers.wanting import judge_wanted

OWN_WEBHOOK = "webhook"
"""What stands for the automation's own URL among the conditions."""
ANY_TYPE = ""
"""The type of an event of which nobody said what it is: it is of whatever type is asked for."""
_OWN = f"{SkippedReason.OWN_EVENT}: it is of a run of this automation, which starts no other of it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One condition: the type that it asks for, or the own webhook, and which rule decided."""

    event: str
    passes: bool
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`matches`: a run would come of it. `event` is the event as the automation would see it,
    `start` the wish that it would become; `hold` what would skip it all the same, now."""

    matches: bool
    rule: str
    tried: tuple[Tried, ...]
    event: Event
    start: Start | None = None
    hold: Hold | None = None


def explain(
    definition: Definition,
    event: Event,
    snapshot: Snapshot,
    facts: AutomationFacts | None = None,
    *,
    ids: Ids,
    now: datetime,
) -> Explanation:
    """Whether and why `event` would start the automation. An event of `ANY_TYPE` fits every type,
    and is then of that which it was wanted for."""
    tried = try_conditions(definition, event, snapshot)
    passed = next((each for each in tried if each.passes), None)
    if passed is None:
        rule = in_words(definition, tried)
        return Explanation(matches=False, rule=rule, tried=tried, event=event)
    own = passed.event == OWN_WEBHOOK
    if event.type == ANY_TYPE:
        event = replace(event, type="webhook.received" if own else passed.event)
    stopped = gate_rule(definition, event)
    if stopped is not None:
        return Explanation(matches=False, rule=stopped, tried=tried, event=event)
    kind = TriggerKind.WEBHOOK if own else TriggerKind.EVENT
    identities = snapshot.identities
    return Explanation(
        matches=True,
        rule=f"{passed.event}: {passed.rule}",
        tried=tried,
        event=event,
        start=start_for_event(definition, kind, event, ids=ids, now=now, identities=identities),
        hold=hold_for(event, definition, facts, own_accounts(snapshot), identities),
    )


def try_conditions(definition: Definition, event: Event, snapshot: Snapshot) -> tuple[Tried, ...]:
    """Every condition of the automation, in file order, with what it says to the event."""
    return tuple(_try(definition, event, snapshot))


def in_words(definition: Definition, tried: Sequence[Tried]) -> str:
    """What all of its conditions said, on one line."""
    if not tried:
        kinds = " and ".join(each.kind.value for each in definition.automation.triggers)
        return f"it waits for no event: it starts by {kinds}"
    return "; ".join(f"{each.event}: {each.rule}" for each in tried)


def is_of_own_run(definition: Definition, event: Event) -> bool:
    """Whether the event tells of a run of this very automation, which it is not started by."""
    return whose_run(event) == definition.automation.name


def _try(definition: Definition, event: Event, snapshot: Snapshot) -> Iterable[Tried]:
    webhook = definition.automation.webhook
    if webhook is not None:
        verdict = judge_wanted(webhook.wanted, event, snapshot.identities)
        rule = verdict.rule or "its own URL takes whatever is signed"
        yield Tried(event=OWN_WEBHOOK, passes=verdict.passes, rule=rule)
    for condition in conditions_of(definition):
        if event.type != ANY_TYPE and not fits(condition.event, event.type):
            yield Tried(event=condition.event, passes=False, rule=f"the type is {event.type}")
            continue
        if is_of_own_run(definition, event):
            yield Tried(event=condition.event, passes=False, rule=_OWN)
            continue
        verdict = judge_wanted(condition.wanted, event, snapshot.identities)
        rule = verdict.rule or "the type is all that it asks for"
        yield Tried(event=condition.event, passes=verdict.passes, rule=rule)
