"""What the doors of providers would make of a body that somebody has in a file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.event import AHEAD, DedupKey, Event, order_of
from amodal_rt.domain.glob import fits
from amodal_rt.domain.integration import SHARED
from amodal_rt.domain.trigger import EventCondition, SignatureScheme, WebhookAuth
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ids import Ids
from amodal_rt.intake import dedup, naming
from amodal_rt.intake.challenges import answer_to
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.naming import EventName
from amodal_rt.intake.type_in_body import agreed, shown, words_in_body
from amodal_rt.triggers.explaining import ANY_TYPE
from amodal_rt.triggers.matching import conditions_of

SOURCE = "/test"
"""Where an event comes from of which nothing says it."""
_NO_HEADERS = Headers(())
_PRESETS = frozenset(SignatureScheme) - SHARED


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An event that the body would be. `refused` says why its door would take none; `dedup` is
    what its door would know it again by, as far as the body says it."""

    event: Event
    refused: str | None = None
    dedup: DedupKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """One that takes events whose types begin with the word `first`; None: an own webhook, whose
    sender no preset names. `endpoint` is what its duplicates are looked for by; None where the
    workspace has no such door."""

    auth: WebhookAuth | None
    first: str | None
    name: Callable[[Headers, object], EventName]
    account: str | None = None
    endpoint: str | None = None


class BodyReader:
    """Reads one body, by the files of the moment."""

    def __init__(
        self, snapshot: Snapshot, endpoint_of: Callable[[str], str], *, ids: Ids, now: datetime
    ) -> None:
        """`endpoint_of` says the id of an automation's own webhook."""
        self._snapshot = snapshot
        self._endpoint_of = endpoint_of
        self._ids = ids
        self._now = now

    def as_wanted(self, data: object, definition: Definition) -> list[Reading]:
        """What it may be of all that the automation waits for, what fits first; what else it
        would be after that, and at least one."""
        fitting: list[Reading] = []
        others: list[Reading] = []
        webhook = definition.automation.webhook
        if webhook is not None:
            name = definition.automation.name
            door = _own(webhook.auth, name, self._endpoint_of(name))
            fitting.append(self._read(door, data, _type_at(door, data)))
        for condition in conditions_of(definition):
            doors = self._doors(condition)
            if not doors:
                fitting.append(self.plain(condition.event, data))
            for door in doors:
                type = agreed(_words(door, data), condition.event)
                reading = self._read(door, data, type or _type_at(door, data))
                (others if type is None else fitting).append(reading)
        return [*fitting, *others] or [self.plain(ANY_TYPE, data)]

    def of_type(self, type: str, data: object) -> Reading:
        """What it is where somebody says of which type."""
        doors = self._doors(EventCondition(event=type))
        return self._read(doors[0], data, type) if doors else self.plain(type, data)

    def plain(self, type: str, data: object) -> Reading:
        """What no door of a provider takes."""
        return Reading(
            event=Event(
                id=self._ids.event(), type=type, source=SOURCE, data=data, time=self._now,
                received_at=self._now,
            )
        )  # fmt: skip

    def _doors(self, condition: EventCondition) -> Sequence[_Door]:
        """Integrations that bring what it asks for, else the presets that would."""
        first = condition.event.partition(".")[0]
        found = [
            _Door(
                auth=each.auth,
                first=each.family,
                name=partial(naming.integration_name, each.auth, each.name),
                account=each.account,
                endpoint=f"/integrations/{each.name}",
            )
            for each in self._snapshot.integrations.values()
            if fits(first, each.family)
        ]
        presets = (WebhookAuth(scheme=each, secrets=()) for each in _PRESETS if each.value == first)
        return found or [_own(each, first) for each in presets]

    def _read(self, door: _Door, data: object, type: str) -> Reading:
        data = naming.unwrapped(door.auth, data)
        name, now = door.name(_NO_HEADERS, data), self._now
        event = Event(
            id=self._ids.event(),
            type=type,
            source=name.source,
            subject=name.subject,
            actor=name.actor,
            data=data,
            time=name.at if name.at and name.at <= now + AHEAD else now,
            received_at=now,
            delivery_id=dedup.name_of(door.auth, _NO_HEADERS, data),
            order=order_of(name.at, now=now),
        )
        place = door.endpoint
        known_by = dedup.key_in_body(place, door.auth, data) if place else None
        return Reading(event=event, refused=_refused(door, data, name), dedup=known_by)


def _own(auth: WebhookAuth | None, stem: str, endpoint: str | None = None) -> _Door:
    known = auth is not None and auth.scheme is not SignatureScheme.HMAC_SHA256
    row = naming.provider_of(auth)
    return _Door(
        auth=auth,
        first=row.name if known else None,
        name=partial(naming.webhook_name, auth, stem),
        endpoint=endpoint,
    )


def _words(door: _Door, data: object) -> Sequence[str]:
    if door.auth is None or door.first is None:
        return naming.RECEIVED.split(".")
    data = naming.unwrapped(door.auth, data)
    return words_in_body(naming.parts_of(door.auth), door.first, data)


def _type_at(door: _Door, data: object) -> str:
    return shown(_words(door, data))


def _refused(door: _Door, data: object, name: EventName) -> str | None:
    if door.auth is not None and answer_to(door.auth.scheme, data, "") is not None:
        return f"it is a challenge of {door.auth.scheme}, which its door answers: no event"
    if door.account and (name.account or "").casefold() != door.account.casefold():
        said = f"of the account {name.account}" if name.account else "of no account"
        return f"its integration takes what is of the account {door.account}, and it is {said}"
    return None
