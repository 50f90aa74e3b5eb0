"""Why an automation may not start by itself now: the file, the ledger or its maker says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from amodal_rt.domain.automation import Definition, Lifecycle
from amodal_rt.domain.identity import Identities
from amodal_rt.domain.run import SkippedReason
from amodal_rt.ports import AutomationFacts


@dataclass(frozen=True, slots=True)
class Hold:
    """The reason that its starts are skipped with, and the rule in words."""

    reason: SkippedReason
    rule: str


@dataclass(frozen=True, slots=True)
class Holds:
    """All that is known, at one moment, of what holds automations back."""

    facts: Mapping[str, AutomationFacts] = field(default_factory=dict[str, AutomationFacts])
    identities: Identities = field(default_factory=Identities)

    def on(self, definition: Definition) -> Hold | None:
        """As `hold_on`."""
        return hold_on(definition, self.facts.get(definition.automation.name), self.identities)


def hold_on(
    definition: Definition, facts: AutomationFacts | None, identities: Identities
) -> Hold | None:
    """What holds the automation back, or None. Of file and ledger the stricter one counts; who
    made it must still be a member."""
    paused = pause_rule(definition, facts)
    if paused:
        return Hold(SkippedReason.PAUSED, paused)
    rule = creator_rule(definition, identities)
    return Hold(SkippedReason.CREATOR_INVALID, rule) if rule else None


def pause_rule(definition: Definition, facts: AutomationFacts | None) -> str | None:
    """Why the automation counts as paused, in words; None when it does not."""
    if facts is not None and facts.paused:
        return "paused" + (f": {facts.paused_reason}" if facts.paused_reason else "")
    status = definition.automation.status
    if status is Lifecycle.ACTIVE:
        return None
    return f"status {status} in {definition.place('/status')}"


def creator_rule(definition: Definition, identities: Identities) -> str | None:
    """Why nobody answers for the automation any more, in words; None while somebody does.

    Without `identities.json`, or without `createdBy`, nothing is judged.
    """
    creator = definition.automation.created_by
    if creator is None or identities.is_member(creator):
        return None
    return f"createdBy {creator} in {_place(definition)} is no member in identities.json"


def _place(definition: Definition) -> str:
    pointers = ("/createdBy", "/created_by")
    return definition.place(next((each for each in pointers if each in definition.lines), ""))
