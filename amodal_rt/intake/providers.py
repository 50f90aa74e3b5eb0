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
_MOST_WORDS = 6
_WORD = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an event's type: the value of `header`, else the first text that one of
    `paths` leads to.

    The value is lower-cased and parted at `split`; what of it is no word is left out.
    """

    header: str | None = None
    paths: tuple[Path, ...] = ()
    split: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """How one provider names things, and how patient it is.

    `parts` make the type behind `name`; where none of them says anything it is `<name>.event`.
    Of `subjects`, `actors`, `accounts` and `keys` the first path that leads to a text counts.
    `orders` lead to times; the latest says when it happened at the source, for events of one
    conversation: what is deleted still has the time of its last edit.
    `accounts` are whose events these are: the workspace, organisation or shop.

    `keys` are what of the signed body tells one event from another. Where none is there, it is
    what the first of `id_headers` calls the delivery, and, alone too, the body with the headers
    `digested`: a delivery's name is seldom signed, so a replay can carry another. None: bodies
    repeat by nature, or the name is signed.

    `wrapped` is the one field of a form that holds the whole body as JSON. `seconds` is how soon
    it wants its answer. `silent`: it wants no body in that.
    """

    name: str
    parts: tuple[Part, ...] = ()
    subjects: tuple[Path, ...] = ()
    actors: tuple[Path, ...] = ()
    orders: tuple[Path, ...] = ()
    accounts: tuple[Path, ...] = ()
    keys: tuple[Path, ...] = ()
    id_headers: tuple[str, ...] = ()
    digested: tuple[str, ...] | None = ()
    wrapped: str | None = None
    seconds: float = 1.0
    silent: bool = False


def _p(text: str) -> Path:
    return tuple(text.split("."))


def _paths(*texts: str) -> tuple[Path, ...]:
    return tuple(map(_p, texts))


PROVIDERS: Mapping[Scheme, Provider] = {
    Scheme.GITHUB: Provider(
        name="github",
        parts=(Part(header="x-github-event"), Part(paths=_paths("action"))),
        subjects=_paths("repository.full_name", "organization.login"),
        actors=_paths("sender.login"),
        # Of a push nothing says when it was: its commits may be older than those before it.
        orders=_paths(
            "comment.updated_at", "review.submitted_at", "issue.updated_at",
            "pull_request.updated_at",
        ),
        accounts=_paths(
            "organization.login", "repository.owner.login", "installation.account.login",
        ),
        wrapped="payload",
        id_headers=("x-github-delivery",),
    ),
    Scheme.GITLAB: Provider(
        name="gitlab",
        parts=(Part(paths=_paths("object_kind")), Part(paths=_paths("object_attributes.action"))),
        subjects=_paths("project.path_with_namespace"),
        actors=_paths("user.username", "user_username"),
        orders=_paths("object_attributes.updated_at", "object_attributes.created_at"),
        # The older form signs nothing, the newer one the name of the delivery.
        id_headers=("webhook-id", "idempotency-key", "x-gitlab-event-uuid"),
        digested=None,
    ),
    Scheme.SLACK: Provider(
        name="slack",
        parts=(Part(paths=_paths("event.type", "command", "type"), split="/"),),
        subjects=_paths("event.channel", "event.item.channel", "channel_id", "channel.id"),
        actors=_paths("event.user", "event.user.id", "event.bot_id", "user_id", "user.id"),
        orders=_paths("event.event_ts", "event.ts"),
        accounts=_paths("team_id", "team.id"),
        keys=_paths("event_id"),
        wrapped="payload",
    ),
    Scheme.STRIPE: Provider(
        name="stripe",
        parts=(Part(paths=_paths("type"), split="."),),
        subjects=_paths("data.object.id", "account"),
        actors=_paths("account"),
        orders=_paths("created"),
        accounts=_paths("account"),
        keys=_paths("id"),
    ),
    Scheme.PAGERDUTY: Provider(
        name="pagerduty",
        parts=(Part(paths=_paths("event.event_type"), split="."),),
        subjects=_paths("event.data.id"),
        actors=_paths("event.agent.id"),
        orders=_paths("event.occurred_at"),
        keys=_paths("event.id"),
        id_headers=("x-webhook-id",),
    ),
    Scheme.LINEAR: Provider(
        name="linear",
        parts=(Part(paths=_paths("type")), Part(paths=_paths("action"))),
        subjects=_paths("data.identifier", "data.issue.identifier", "data.id"),
        actors=_paths("actor.id", "data.userId"),
        orders=_paths("webhookTimestamp"),
        accounts=_paths("organizationId"),
        id_headers=("linear-delivery",),
    ),
    Scheme.JIRA: Provider(
        name="jira",
        parts=(Part(paths=_paths("webhookEvent"), split=":"),),
        subjects=_paths("issue.key", "project.key"),
        actors=_paths("user.accountId", "comment.author.accountId"),
        orders=_paths("timestamp"),
        id_headers=("x-atlassian-webhook-identifier",),
    ),
    Scheme.SHOPIFY: Provider(
        name="shopify",
        parts=(Part(header="x-shopify-topic", split="/"),),
        subjects=_paths("admin_graphql_api_id"),
        orders=_paths("updated_at", "created_at"),
        # One change may be told twice, as two topics with one body.
        id_headers=("x-shopify-webhook-id",),
        digested=("x-shopify-topic",),
    ),
    Scheme.TWILIO: Provider(
        name="twilio",
        parts=(
            Part(paths=_paths("EventType", "MessageStatus", "SmsStatus", "CallStatus")),
        ),
        subjects=_paths("MessageSid", "CallSid", "To"),
        actors=_paths("From"),
        accounts=_paths("AccountSid"),
        id_headers=("i-twilio-idempotency-token",),
    ),
    Scheme.DISCORD: Provider(
        name="discord",
        parts=(Part(paths=_paths("event.type")),),
        subjects=_paths("event.data.guild.id", "guild_id", "application_id"),
        actors=_paths("event.data.user.id", "user.id", "member.user.id"),
        orders=_paths("event.timestamp"),
        accounts=_paths("event.data.guild.id", "guild_id"),
        keys=_paths("id"),
        silent=True,
    ),
    Scheme.SENTRY: Provider(
        name="sentry",
        parts=(Part(header="sentry-hook-resource"), Part(paths=_paths("action"))),
        subjects=_paths("data.issue.shortId", "data.issue.id", "installation.uuid"),
        actors=_paths("actor.id", "actor.name"),
        orders=_paths("data.issue.lastSeen"),
        accounts=_paths("installation.uuid"),
        id_headers=("request-id",),
    ),
    Scheme.ZOOM: Provider(
        name="zoom",
        parts=(Part(paths=_paths("event"), split="."),),
        subjects=_paths("payload.object.id"),
        actors=_paths("payload.operator_id", "payload.operator", "payload.object.host_id"),
        orders=_paths("event_ts"),
        accounts=_paths("payload.account_id"),
    ),
    Scheme.STANDARD_WEBHOOKS: Provider(
        name="webhook",
        parts=(Part(paths=_paths("type"), split="."),),
        orders=_paths("timestamp"),
        id_headers=("webhook-id", "svix-id"),
        digested=None,
    ),
}  # fmt: skip


def type_of(parts: Sequence[Part], first: str, headers: Headers, data: object) -> str:
    """The type of an event behind the word `first`, for example `github.issues.opened`."""
    words = [word for part in parts for word in words_of(part, headers, data)]
    # Some say their own name: `jira:issue_updated`.
    words = words[1:] if words[:1] == [first] else words
    return ".".join((first, *(words or ["event"])))


def first_text(data: object, paths: Sequence[Path]) -> str | None:
    """The first text, or number as text, that one of `paths` leads to, cut; or None."""
    for path in paths:
        if text := _text(data, path):
            return text
    return None


def words_of(part: Part, headers: Headers, data: object) -> Iterator[str]:
    """What one part says, in words of a type."""
    value = headers.first(part.header) if part.header else first_text(data, part.paths)
    if not value:
        return
    pieces = value.lower().split(part.split) if part.split else [value.lower()]
    for piece in pieces[:_MOST_WORDS]:
        if _WORD.fullmatch(piece):
            yield piece


def _text(data: object, path: Path) -> str | None:
    # A dozen paths of every event are walked: what JSON gives is a dict, and asking whether it
    # is some `Mapping` would take longer than all the rest.
    for key in path:
        if not isinstance(data, dict):
            return None
        data = cast("dict[str, object]", data).get(key)
    if isinstance(data, str):
        return data[:LONGEST]
    if isinstance(data, bool) or not isinstance(data, int):
        return None
    return str(data)[:LONGEST]
