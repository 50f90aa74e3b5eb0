"""Whether the events and members that an automation names are known to anybody."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from amodal_rt.definitions.catalogue import BUILT_IN
from amodal_rt.definitions.other_names import OTHER_NAMES
from amodal_rt.definitions.words import is_one_slip, nearest, shown, suggestion
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.event_type import EventType
from amodal_rt.domain.glob import fits, is_glob
from amodal_rt.domain.identity import Identities
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.problem import Problem, Severity
from amodal_rt.domain.trigger import EventTrigger, WebhookTrigger

_KINDS = ("cron", "webhook", "event", "manual")
_MEMBER = "member:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Who sends events here."""

    event_types: Mapping[str, EventType]
    integrations: Mapping[str, Integration]
    connections: Mapping[str, Connection]

    def know(self, event: str) -> bool:
        """Whether any source is known to send it, or some event that the glob fits. What an
        integration's provider or an MCP server sends is for them to say."""
        if event in self.event_types or event in BUILT_IN:
            return True
        family, dot, _ = event.partition(".")
        if dot and family in self._families():
            return True
        # Of the names that another platform has nothing ever comes.
        names = (each for each in self.names() if each not in OTHER_NAMES)
        return is_glob(event) and any(fits(event, each) for each in names)

    def meant(self, event: str) -> str | None:
        """The known name that is one slip of the keyboard away from one that nobody knows. The
        catalogue is no fence, but a misspelt name would wait for ever."""
        if event in self.event_types or event in BUILT_IN:
            return None
        return _one_slip_away(event, tuple(self.event_types))

    def names(self) -> Iterator[str]:
        """Every name that is known beforehand."""
        yield from self.event_types
        yield from BUILT_IN

    def near(self, event: str) -> str | None:
        """The known name that is most like one that nobody is known to send."""
        return _most_like(event, tuple(self.event_types))

    def _families(self) -> set[str]:
        providers = {each.family for each in self.integrations.values()}
        servers = {name for name, each in self.connections.items() if each.protocol is Protocol.MCP}
        return providers | servers


# Thousands may wait for one type that the catalogue lacks, and each saved file asks for all anew.
@lru_cache(maxsize=4_096)
def _one_slip_away(event: str, own: tuple[str, ...]) -> str | None:
    return next((each for each in (*own, *BUILT_IN) if is_one_slip(event, each)), None)


@lru_cache(maxsize=4_096)
def _most_like(event: str, own: tuple[str, ...]) -> str | None:
    return nearest(event, (*own, *BUILT_IN), cutoff=0.75)


def trigger_errors(definition: Definition, sources: Sources) -> Iterable[Problem]:
    """A plain word that names neither a kind of trigger nor an event of `events/`."""
    for event, pointers in named_events(definition):
        if "." in event or is_glob(event) or sources.know(event):
            continue
        own = sorted(sources.event_types)
        near = suggestion(event, [*_KINDS, *own])
        hint = near or "there are cron, webhook, manual, and the names of events"
        message = f"{shown(event)} is no trigger, and no event of events/"
        yield _problem(definition, "unknown_trigger", message, pointers, hint)


def event_warnings(definition: Definition, sources: Sources) -> Iterable[Problem]:
    """Events that no source is known to send."""
    for event, pointers in named_events(definition):
        if ("." in event or is_glob(event)) and not sources.know(event):
            near = sources.near(event)
            hint = f'did you mean "{near}"?' if near else "ops events types lists what is known"
            message = f"no source of events here is known to send {shown(event)}"
            yield _problem(definition, "unknown_event", message, pointers, hint, "warning")
        elif "." in event and (meant := sources.meant(event)):
            message = f"the catalogue has no {shown(event)}"
            hint = f'did you mean "{meant}"?'
            yield _problem(definition, "unknown_event", message, pointers, hint, "warning")


def key_warnings(definition: Definition) -> Iterable[Problem]:
    """Keys over an event, of an automation that no event starts."""
    automation = definition.automation
    if automation.events or automation.webhook is not None:
        return
    for name, other, given in (
        ("conversationKey", "conversation_key", automation.conversation_key),
        ("idempotencyKey", "idempotency_key", automation.idempotency_key),
        ("coalesce", "coalesce", automation.coalesce),
    ):
        if given is not None:
            message = f"{name} does nothing: it is of runs that an event starts, and none does"
            hint = 'give it a trigger, as in "trigger": "webhook", or take it away'
            pointers = (f"/{name}", f"/{other}")
            yield _problem(definition, "unused_key", message, pointers, hint, "warning")


def member_warnings(definition: Definition, identities: Identities) -> Iterable[Problem]:
    """Members that `identities.json` does not have. Of who made it, more than a warning comes:
    its starts are skipped."""
    if not identities.known:
        return
    automation = definition.automation
    named: list[tuple[str | None, tuple[str, ...]]] = [
        (automation.run_as, ("/runAs", "/run_as", "/runAsUser", "/run_as_user")),
        (automation.created_by, ("/createdBy", "/created_by")),
    ]
    named += [(each, ("/actors", "/triggers", "/eventConditions")) for each in _actors(definition)]
    for id, pointers in named:
        if id is None or id in identities.members:
            continue
        # Two keys may stand on one line: what does not name its own looks like one thing twice.
        key = pointers[0].removeprefix("/")
        then = ", so its starts are skipped" if key == "createdBy" else ""
        message = f"{key}: {shown(id)} is no member in identities.json{then}"
        hint = suggestion(id, identities.members) or "ops identities list shows them"
        yield _problem(definition, "unknown_member", message, pointers, hint, "warning")


def named_events(definition: Definition) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each event that a trigger names, with where it may stand in the file."""
    for trigger in definition.automation.events:
        for place, condition in enumerate(trigger.conditions):
            yield (
                condition.event,
                (
                    f"/triggers/{trigger.key}/event",
                    f"/triggers/{trigger.key}",
                    f"/eventConditions/{place}",
                    f"/event_conditions/{place}",
                    "/trigger",
                ),
            )


def _actors(definition: Definition) -> Iterator[str]:
    """The members among those whose events count."""
    for trigger in definition.automation.triggers:
        wanted = []
        if isinstance(trigger, EventTrigger):
            wanted = [each.wanted for each in trigger.conditions]
        elif isinstance(trigger, WebhookTrigger):
            wanted = [trigger.wanted]
        for each in wanted:
            for actor in each.actors or ():
                id = actor.removeprefix(_MEMBER)
                if ":" not in id and not is_glob(id):
                    yield id


def _problem(
    definition: Definition,
    code: str,
    message: str,
    pointers: tuple[str, ...],
    hint: str,
    severity: Severity = "error",
) -> Problem:
    line = next((definition.lines[each] for each in pointers if each in definition.lines), None)
    return Problem(
        file=definition.file, code=code, message=message, line=line, hint=hint, severity=severity
    )
