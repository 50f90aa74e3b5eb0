"""Which automations an event starts.

An own webhook is an event addressed to one automation; it goes through here like every
other, so that pauses, depth and filters mean the same on every road.
"""

from collections.abc import Mapping
from datetime import datetime

from amodal_rt.domain import filter as algebra
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.event import Event
from amodal_rt.domain.glob import fits
from amodal_rt.domain.identity import Identities, comparable
from amodal_rt.domain.remote_trigger import RemoteTrigger
from amodal_rt.domain.run import SkippedReason, Start
from amodal_rt.domain.trigger import EventCondition, TriggerKind
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ids import Ids
from amodal_rt.ports import AutomationFacts
from amodal_rt.triggers.holds import Hold, hold_on
from amodal_rt.triggers.index import EventIndex
from amodal_rt.triggers.registrations import told_params
from amodal_rt.triggers.starts import depth_rule, start_for_event
from amodal_rt.triggers.wanting import is_wanted, judge_wanted

CALLED_BACK = "/connections/"
"""What the source of an event begins with that an MCP server reports."""
_AUTOMATIONS = "/automations/"
_OF_RUNS = ("automation.run.", "agent_session.")
"""What every run is told of with; only the runtime says it."""


class Matching:
    """Answers from the newest snapshot that it was asked about.

    An automation that cannot run at all is no match, and a run is never started twice by one
    event, however many of an automation's conditions it fits.
    """

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._read: tuple[Snapshot, EventIndex] | None = None

    def starts_for(
        self,
        event: Event,
        snapshot: Snapshot,
        facts: Mapping[str, AutomationFacts],
        *,
        now: datetime,
    ) -> tuple[list[Start], int]:
        """The starts of all automations that the event is addressed to or matches, those that
        are ruled out included, and how many that wait for events it missed."""
        if event.address is not None:
            addressed: list[Start] = []
            for each in event.addressees:
                addressed += self._addressed(event, each, snapshot, facts, now)
            return addressed, 0
        index = self._index(snapshot)
        identities = snapshot.identities
        starts: list[Start] = []
        own = whose_run(event)
        matched: str | None = None
        for watch in index.waiting_for(event.type).candidates(event.data):
            definition = watch.definition
            name = definition.automation.name
            # A row would be told of as well, and that again, as deep as a chain may go.
            if name in (matched, own):
                continue
            if not is_wanted(watch.condition.wanted, event, identities):
                continue
            # One automation's conditions stand together, so that the last name is enough.
            matched = name
            hold = hold_for(
                event, definition, facts.get(name), index.own_accounts, identities
            ) or _gate_hold(definition, event)
            starts.append(self._start(definition, TriggerKind.EVENT, event, hold, identities, now))
        return starts, index.count - len(starts)

    def asked_for(self, watched: RemoteTrigger, snapshot: Snapshot) -> tuple[str, ...]:
        """The automations that an event which a server watches for is sent to: those that can run
        now and ask for just that. What they make of it is not looked at."""
        if watched.automation:
            return (watched.automation,) if snapshot.find(watched.automation) else ()
        type = f"{watched.connection}.{watched.type}"
        found = [
            watch.definition.automation.name
            for watch in self._index(snapshot).waiting_for(type).all
            if watch.condition.event == type
            and told_params(watch.condition.wanted.params) == watched.params
        ]
        return tuple(dict.fromkeys(found))

    def wants(self, type: str, snapshot: Snapshot) -> bool:
        """Whether any automation waits for events of the type, whatever else it asks of them."""
        return bool(self._index(snapshot).waiting_for(type).all)

    def _addressed(
        self,
        event: Event,
        name: str,
        snapshot: Snapshot,
        facts: Mapping[str, AutomationFacts],
        now: datetime,
    ) -> list[Start]:
        definition = snapshot.find(name)
        if definition is None:
            return []
        kind = road_of(event, definition)
        own, identities = self._index(snapshot).own_accounts, snapshot.identities
        hold = hold_for(event, definition, facts.get(name), own, identities)
        unwanted = None if hold else unwanted_rule(kind, event, definition, identities)
        if unwanted is not None:
            hold = Hold(SkippedReason.FILTERED, unwanted)
        hold = hold or _gate_hold(definition, event)
        return [self._start(definition, kind, event, hold, identities, now)]

    def _start(
        self,
        definition: Definition,
        kind: TriggerKind,
        event: Event,
        hold: Hold | None,
        identities: Identities,
        now: datetime,
    ) -> Start:
        return start_for_event(
            definition, kind, event, ids=self._ids, now=now, hold=hold, identities=identities
        )

    def _index(self, snapshot: Snapshot) -> EventIndex:
        if self._read is None or self._read[0] is not snapshot:
            self._read = snapshot, EventIndex(snapshot)
        return self._read[1]


def road_of(event: Event, definition: Definition) -> TriggerKind:
    """How an addressed event came: to the automation's own URL, or by an MCP server that calls
    back about one of its triggers."""
    called_back = event.source.startswith(CALLED_BACK)
    if called_back or definition.automation.webhook is None:
        return TriggerKind.EVENT
    return TriggerKind.WEBHOOK


def whose_run(event: Event) -> str | None:
    """The automation of whose run the runtime says this; such an event starts all but that one.
    None where it is of no run."""
    if event.type.startswith(_OF_RUNS) and event.source.startswith(_AUTOMATIONS):
        return event.source.removeprefix(_AUTOMATIONS)
    return None


def conditions_of(definition: Definition) -> list[EventCondition]:
    """Every condition of its event triggers, in file order."""
    return [each for trigger in definition.automation.events for each in trigger.conditions]


def gate_rule(definition: Definition, event: Event) -> str | None:
    """Which rule of a gate that needs no read stops the event, in words; None when none does."""
    gate = definition.automation.gate
    if gate is None or gate.read is not None or gate.filter is None:
        return None
    if algebra.passes(gate.filter, event.data):
        return None
    return f"when: {algebra.judge(gate.filter, event.data).rule}"


def unwanted_rule(
    kind: TriggerKind, event: Event, definition: Definition, identities: Identities
) -> str | None:
    """Why an event that is addressed to the automation is not one that it wants."""
    if kind is TriggerKind.WEBHOOK:
        webhook = definition.automation.webhook
        if webhook is None or is_wanted(webhook.wanted, event, identities):
            return None
        return judge_wanted(webhook.wanted, event, identities).rule
    rules: list[str] = []
    for condition in conditions_of(definition):
        if not fits(condition.event, event.type):
            continue
        verdict = judge_wanted(condition.wanted, event, identities)
        if verdict.passes:
            return None
        rules.append(verdict.rule)
    return "; ".join(rules) or f"no trigger waits for {event.type}"


def hold_for(
    event: Event,
    definition: Definition,
    facts: AutomationFacts | None,
    own_accounts: frozenset[str],
    identities: Identities,
) -> Hold | None:
    """Why a start by the event would be skipped, whatever the event holds; None when it is not."""
    too_deep = depth_rule(event.depth, event.actor or event.cause)
    if too_deep:
        return Hold(SkippedReason.DEPTH_LIMIT, too_deep)
    if event.actor is not None and comparable(event.actor) in own_accounts:
        rule = f"{event.actor} is an account of our own: what it causes starts nothing"
        return Hold(SkippedReason.OWN_EVENT, rule)
    return hold_on(definition, facts, identities)


def _gate_hold(definition: Definition, event: Event) -> Hold | None:
    stopped = gate_rule(definition, event)
    return Hold(SkippedReason.FILTERED, stopped) if stopped else None
