"""Outbound messages: where they go, what is owed, what became of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from amodal_rt.domain.breaker import Health, Try
from amodal_rt.domain.event import Event
from amodal_rt.domain.filter import Filter
from amodal_rt.domain.secret import SecretRef, Text

REHEARSAL = "rehearsal"
"""The `model` in the body of a message that a rehearsal owes."""


class TargetType(StrEnum):
    """How a message leaves."""

    WEBHOOK = "webhook"
    CALLBACK = "callback"


class Format(StrEnum):
    """What a webhook's receiver takes: the whole document, or one message of a chat program."""

    JSON = "json"
    SLACK = "slack"
    DISCORD = "discord"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One receiver. `webhook` has `url`; `callback` has an optional `name`.

    `label` is what people read in history; it is never a secret: a URL that came from
    the environment is shown by its variable's name.
    """

    type: TargetType
    label: str
    url: Text | None = None
    name: str | None = None
    format: Format = Format.JSON
    secret: Text | None = None

    @property
    def key(self) -> str:
        """What makes it the same receiver, whatever its label, and holds no secret: the
        variable of its URL, or the host and a digest; the name of a callback."""
        if self.type is TargetType.CALLBACK:
            return f"callback {self.name}" if self.name else "callback"
        if isinstance(self.url, SecretRef):
            return f"webhook {self.url}"
        url = self.url or ""
        return f"webhook {_host(url)} {digest(url)}"


def digest(text: str) -> str:
    """Enough of SHA-256 to tell addresses apart; says nothing of a secret in one."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Where the result of a completed run goes. `template` is Liquid. `when` is asked of
    `{result, data}`: a result that it does not let through is `quiet`, and nothing is sent."""

    targets: tuple[Target, ...]
    template: str | None = None
    when: Filter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureAlert:
    """After how many consecutive failures whom to tell, and how long to stay quiet then."""

    targets: tuple[Target, ...]
    after: int = 1
    cooldown: timedelta = timedelta(minutes=60)


class MessageKind(StrEnum):
    """Why a message is owed."""

    RESULT = "result"
    FAILURE_ALERT = "failure_alert"
    RECOVERY = "recovery"
    APPROVAL = "approval"
    WORKSPACE_ALERT = "workspace_alert"
    WORKSPACE_RECOVERY = "workspace_recovery"


class DeliveryStatus(StrEnum):
    """What became of a message. `dead` and `suppressed` are listed until someone looks."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    DEAD = "dead"
    EXPIRED = "expired"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMessage:
    """One message owed to one target; committed with the outcome that owes it.

    What no run is the cause of has no `run_id`, and no `automation` where none is concerned.
    `delivery_id` is also the `webhook-id` of all its attempts. `body` is the whole payload,
    whatever the target's format sends of it (`slack` and `discord`: its `text` alone); that of a
    rehearsal carries `"model": "rehearsal"`, that of a tainted run `"tainted": true`. `target` is
    stored without secrets: its URL stays a reference where it was one.
    After `expires_at` an unsent message is dropped as `expired`. `status` is PENDING, or
    SUPPRESSED when it is only kept for the record.
    """

    delivery_id: str
    run_id: str | None
    automation: str | None
    kind: MessageKind
    target: Target
    body: Mapping[str, object]
    created_at: datetime
    expires_at: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING

    @property
    def rehearsed(self) -> bool:
        """Whether a rehearsal owes it: it says nothing about the automation."""
        return self.body.get("model") == REHEARSAL


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """A message together with what was tried so far.

    `retried_at_attempt` is how many attempts it had when somebody last asked for it anew.
    """

    message: OutboxMessage
    status: DeliveryStatus
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_error: str | None = None
    finished_at: datetime | None = None
    retried_at_attempt: int = 0

    @property
    def tries(self) -> int:
        """Attempts since it was owed or asked for anew: the pauses between them follow this."""
        return self.attempts - self.retried_at_attempt


class AttemptResult(StrEnum):
    """What one attempt to send says about the next.

    SUPPRESSED ends a rehearsal's message without a failure: nothing was sent, or nobody
    listened; it becomes `suppressed` and counts nowhere.
    """

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"
    SUPPRESSED = "suppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The end of one attempt. `retry_at` is set exactly when `result` is RETRY.

    `health` is what it says of the target; None where the target was not reached for a
    reason of ours. `address` is the digest of the URL that was tried.
    """

    delivery_id: str
    result: AttemptResult
    at: datetime
    retry_at: datetime | None = None
    error: str | None = None
    health: Health | None = None
    address: str | None = None

    def tried(self, target: Target) -> Try | None:
        """The attempt as the target's breaker sees it, or None."""
        if self.health is None:
            return None
        return Try(
            target=target.key,
            label=target.label,
            health=self.health,
            at=self.at,
            error=self.error,
            address=self.address,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one target has been told of an automation's failures.

    `alerted_at` is when an alert was last *delivered* to it; `alert_open` says that an alert
    is owed to it and not yet delivered; `alerting` says that an alert reached it since the
    last recovery that it was owed, so that a recovery notice is due.
    """

    alerted_at: datetime | None = None
    alert_open: bool = False
    alerting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureState:
    """An automation's failure counter as the ledger holds it; survives restarts.

    `consecutive` counts `failed` runs and dead letters since the last `completed` run.
    `known` says by `Target.key` what each target was told: one that takes nothing must not
    silence the others. `others` holds for all the rest: nothing, unless the messages that
    would say are older than what the ledger keeps.
    """

    consecutive: int = 0
    known: Mapping[str, Told] = field(default_factory=dict[str, Told])
    others: Told = Told()

    def told(self, target: Target) -> Told:
        """What `target` has been told."""
        return self.known.get(target.key, self.others)


@dataclass(frozen=True, slots=True)
class Plan:
    """What an outcome owes: messages and events to commit with it, remarks for the run's journal,
    and the `reason` (`quiet`) that a completed run gets for owing nothing."""

    messages: tuple[OutboxMessage, ...] = ()
    notes: tuple[str, ...] = field(default=())
    events: tuple[Event, ...] = ()
    reason: str | None = None
