"""What a verified request is called: type, source, subject, actor and order of its event."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from amodal_rt.domain.integration import SHARED
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.intake.bodies import parse_body
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.providers import PROVIDERS, Part, Provider, first_text, type_of

RECEIVED = "webhook.received"
"""The type of an own webhook whose sender no preset names."""
_ANYBODY = Provider(name="webhook")
_STAMP = re.compile(r"([0-9]{10})(?:([0-9]{3})|\.([0-9]{1,9}))?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventName:
    """The attributes that say what happened, where, to what, by whom and when.

    `at` is when, as the source says; `account` is whose event it is there.
    """

    type: str
    source: str
    subject: str | None = None
    actor: str | None = None
    at: datetime | None = None
    account: str | None = None


def provider_of(auth: WebhookAuth | None) -> Provider:
    """The row of the sender, or what is known of a sender that no row knows."""
    return PROVIDERS.get(auth.scheme, _ANYBODY) if auth else _ANYBODY


def unwrapped(auth: WebhookAuth | None, data: object) -> object:
    """The data itself, where the sender puts all of it as JSON into one field of a form."""
    field = provider_of(auth).wrapped
    if field is None:
        return data
    fields = _object(data)
    text = fields.get(field)
    if len(fields) != 1 or not isinstance(text, str):
        return data
    return parse_body(text.encode("utf-8", "replace"), "application/json")


def webhook_name(auth: WebhookAuth | None, stem: str, headers: Headers, data: object) -> EventName:
    """Of a request to an automation's own URL: as its provider calls it, else
    `webhook.received` from `/webhooks/<stem>`, or `webhook.…` where it can be asked."""
    place = f"/webhooks/{stem}"
    if auth is None or auth.scheme is SignatureScheme.HMAC_SHA256:
        return EventName(type=RECEIVED, source=place)
    if auth.scheme in SHARED:
        return _named(auth, "webhook", place, headers, data)
    row = provider_of(auth)
    return _named(auth, row.name, row.name, headers, data)


def integration_name(auth: WebhookAuth, name: str, headers: Headers, data: object) -> EventName:
    """Of a request to an integration: `<provider>.…` from `/integrations/<name>`. Where the
    scheme is not one provider's own, the integration's name stands for the provider's."""
    first = name if auth.scheme in SHARED else provider_of(auth).name
    return _named(auth, first, f"/integrations/{name}", headers, data)


def parts_of(auth: WebhookAuth) -> Sequence[Part]:
    """What makes the types of a sender's events."""
    if auth.custom and (asked := auth.custom.event_type):
        body = (asked.body,) if asked.body else ()
        return (Part(header=asked.header, paths=body, split="."),)
    return provider_of(auth).parts


def _named(auth: WebhookAuth, first: str, source: str, headers: Headers, data: object) -> EventName:
    row = provider_of(auth)
    actor = first_text(data, row.actors)
    times = (_instant(first_text(data, (path,))) for path in row.orders)
    return EventName(
        type=type_of(parts_of(auth), first, headers, data),
        source=source,
        subject=first_text(data, row.subjects),
        actor=f"{first}:{actor}" if actor else None,
        at=max((each for each in times if each), default=None),
        account=first_text(data, row.accounts),
    )


def _instant(text: str | None) -> datetime | None:
    """The instant that a text spells: Unix seconds or milliseconds, or an ISO time."""
    if text is None:
        return None
    match = _STAMP.fullmatch(text)
    try:
        if match:
            fraction = (match[2] or match[3] or "").ljust(6, "0")[:6]
            return _EPOCH + timedelta(seconds=int(match[1]), microseconds=int(fraction))
        # GitLab writes `2026-03-01 12:00:00 UTC`.
        found = datetime.fromisoformat(text.replace(" UTC", "+00:00"))
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _object(data: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", data) if isinstance(data, Mapping) else {}
