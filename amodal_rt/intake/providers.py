"""What a provider's requests are called: rows of data, one for each preset.

Types begin with the provider's own name, whatever a body says: no sender can pass for another,
nor for the runtime itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from amodal_rt.domain.trigger import SignatureScheme as Scheme
from amodal_rt.intake.headers import Headers

Path = tuple[str, ...]
LONGEST = 256
_WORD = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an event's type: the value of `header`, else what stands at `path` of the data.

    The value is lower-cased and parted at `split`; what of it is no word is left out.
    """

    header: str | None = None
    path: Path = ()
    split: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """How one provider names things.

    `parts` make the type behind `name`; where none of them says anything it is `<name>.event`.
    Of `subjects`, `actors` and `orders` the first path that leads to a text counts. `orders`
    say when it happened at the source, for events of one conversation. `keys` are what of the
    signed body tells one event from another; `id_header` is what the sender calls the delivery.
    """

    name: str
    parts: tuple[Part, ...] = ()
    subjects: tuple[Path, ...] = ()
    actors: tuple[Path, ...] = ()
    orders: tuple[Path, ...] = ()
    keys: tuple[Path, ...] = ()
    id_header: str | None = None


def _p(text: str) -> Path:
    return tuple(text.split("."))


def _paths(*texts: str) -> tuple[Path, ...]:
    return tuple(map(_p, texts))


PROVIDERS: Mapping[Scheme, Provider] = {
    Scheme.GITHUB: Provider(
        name="github",
        parts=(Part(header="x-github-event"), Part(path=_p("action"))),
        subjects=_paths("repository.full_name", "organization.login"),
        actors=_paths("sender.login"),
        orders=_paths(
            "comment.updated_at", "review.submitted_at", "issue.updated_at",
            "pull_request.updated_at", "head_commit.timestamp",
        ),
        id_header="x-github-delivery",
    ),
    Scheme.GITLAB: Provider(
        name="gitlab",
        parts=(Part(path=_p("object_kind")), Part(path=_p("object_attributes.action"))),
        subjects=_paths("project.path_with_namespace"),
        actors=_paths("user.username", "user_username"),
        orders=_paths("object_attributes.updated_at", "object_attributes.created_at"),
        id_header="x-gitlab-event-uuid",
    ),
    Scheme.SLACK: Provider(
        name="slack",
        parts=(Part(path=_p("event.type")), Part(path=_p("command"), split="/")),
        subjects=_paths("event.channel", "event.item.channel", "channel_id"),
        actors=_paths("event.user", "event.user.id", "user_id"),
        orders=_paths("event.event_ts", "event.ts"),
        keys=_paths("event_id"),
    ),
    Scheme.STRIPE: Provider(
        name="stripe",
        parts=(Part(path=_p("type"), split="."),),
        subjects=_paths("data.object.id", "account"),
        actors=_paths("account"),
        orders=_paths("created"),
        keys=_paths("id"),
    ),
    Scheme.PAGERDUTY: Provider(
        name="pagerduty",
        parts=(Part(path=_p("event.event_type"), split="."),),
        subjects=_paths("event.data.id"),
        actors=_paths("event.agent.id"),
        orders=_paths("event.occurred_at"),
        keys=_paths("event.id"),
        id_header="x-webhook-id",
    ),
    Scheme.LINEAR: Provider(
        name="linear",
        parts=(Part(path=_p("type")), Part(path=_p("action"))),
        subjects=_paths("data.identifier", "data.issue.identifier", "data.id"),
        actors=_paths("actor.id", "data.userId"),
        orders=_paths("webhookTimestamp"),
        id_header="linear-delivery",
    ),
    Scheme.JIRA: Provider(
        name="jira",
        parts=(Part(path=_p("webhookEvent"), split=":"),),
        subjects=_paths("issue.key", "project.key"),
        actors=_paths("user.accountId", "comment.author.accountId"),
        orders=_paths("timestamp"),
        id_header="x-atlassian-webhook-identifier",
    ),
    Scheme.SHOPIFY: Provider(
        name="shopify",
        parts=(Part(header="x-shopify-topic", split="/"),),
        subjects=_paths("admin_graphql_api_id"),
        orders=_paths("updated_at", "created_at"),
        id_header="x-shopify-event-id",
    ),
    Scheme.TWILIO: Provider(
        name="twilio",
        parts=(
            Part(path=_p("EventType")), Part(path=_p("MessageStatus")),
            Part(path=_p("SmsStatus")), Part(path=_p("CallStatus")),
        ),
        subjects=_paths("MessageSid", "CallSid", "To"),
        actors=_paths("From"),
        keys=_paths("MessageSid", "CallSid"),
        id_header="i-twilio-idempotency-token",
    ),
    Scheme.DISCORD: Provider(
        name="discord",
        parts=(Part(path=_p("event.type")),),
        subjects=_paths("event.data.guild.id", "application_id"),
        actors=_paths("event.data.user.id", "user.id", "member.user.id"),
        orders=_paths("event.timestamp"),
        keys=_paths("id"),
    ),
    Scheme.SENTRY: Provider(
        name="sentry",
        parts=(Part(header="sentry-hook-resource"), Part(path=_p("action"))),
        subjects=_paths("data.issue.shortId", "data.issue.id", "installation.uuid"),
        actors=_paths("actor.id", "actor.name"),
        orders=_paths("data.issue.lastSeen"),
        id_header="request-id",
    ),
    Scheme.ZOOM: Provider(
        name="zoom",
        parts=(Part(path=_p("event"), split="."),),
        subjects=_paths("payload.object.id"),
        actors=_paths("payload.operator_id", "payload.operator", "payload.object.host_id"),
        orders=_paths("event_ts"),
    ),
    Scheme.STANDARD_WEBHOOKS: Provider(
        name="webhook",
        parts=(Part(path=_p("type"), split="."),),
        orders=_paths("timestamp"),
        id_header="webhook-id",
    ),
}  # fmt: skip


def type_of(provider: Provider, headers: Headers, data: object) -> str:
    """The type of an event, for example `github.issues.opened`."""
    words = [word for part in provider.parts for word in _words(part, headers, data)]
    return ".".join((provider.name, *(words or ["event"])))


def first_text(data: object, paths: Sequence[Path]) -> str | None:
    """The first text, or number as text, that one of `paths` leads to, cut; or None."""
    found = (_text(data, path) for path in paths)
    return next((text for text in found if text), None)


def _words(part: Part, headers: Headers, data: object) -> Iterator[str]:
    value = headers.first(part.header) if part.header else _text(data, part.path)
    pieces = (value or "").lower().split(part.split) if part.split else [(value or "").lower()]
    for piece in pieces:
        if _WORD.fullmatch(piece):
            yield piece


def _text(data: object, path: Path) -> str | None:
    for key in path:
        if not isinstance(data, Mapping):
            return None
        data = cast("Mapping[str, object]", data).get(key)
    if isinstance(data, bool) or not isinstance(data, str | int):
        return None
    return str(data)[:LONGEST]


