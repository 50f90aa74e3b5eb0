"""What may start a run."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from amodal_rt.domain.filter import Filter
from amodal_rt.domain.params import Param
from amodal_rt.domain.secret import Text
from amodal_rt.domain.signing import CustomScheme


class TriggerKind(StrEnum):
    """How a run was, or may be, started. `catch_up` and `retry` only appear on runs."""

    CRON = "cron"
    WEBHOOK = "webhook"
    EVENT = "event"
    MANUAL = "manual"
    INVOKED = "invoked"
    CATCH_UP = "catch_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Exactly one of `cron`, `every`, `at`; due instants `t` satisfy `start_at <= t < end_at`.

    `timezone` is an IANA name and matters to `cron` alone.
    """

    cron: str | None = None
    every: timedelta | None = None
    at: datetime | None = None
    timezone: str = "UTC"
    start_at: datetime | None = None
    end_at: datetime | None = None


class SignatureScheme(StrEnum):
    """How a sender proves that it knows the secret."""

    HMAC_SHA256 = "hmac-sha256"
    GITHUB = "github"
    GITLAB = "gitlab"
    SLACK = "slack"
    STRIPE = "stripe"
    PAGERDUTY = "pagerduty"
    LINEAR = "linear"
    JIRA = "jira"
    SHOPIFY = "shopify"
    TWILIO = "twilio"
    DISCORD = "discord"
    SENTRY = "sentry"
    ZOOM = "zoom"
    STANDARD_WEBHOOKS = "standard-webhooks"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAuth:
    """The proof that a webhook must carry. Any one of `secrets` may have signed (rotation).

    `header` is None for presets, which know theirs. `custom` belongs to the scheme `CUSTOM`
    and is None for all others.
    """

    scheme: SignatureScheme
    secrets: tuple[Text, ...]
    header: str | None = None
    dedupe_header: str | None = None
    custom: CustomScheme | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CronTrigger:
    """Due by the clock. `key` tells several schedules of one automation apart across reloads."""

    schedule: Schedule
    key: str
    kind: TriggerKind = field(default=TriggerKind.CRON, init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which of the events of a type: all of `params` AND `filter` AND one of `actors` must hold.

    `actors` None lets everybody through; each is an account as events name it
    (`github:octocat`), a member's id, or a glob over accounts (`slack:*`).
    """

    params: tuple[Param, ...] = ()
    filter: Filter | None = None
    actors: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCondition:
    """One type of event, or all that the glob `event` fits (`github.*`), with what is wanted."""

    event: str
    wanted: Wanted = Wanted()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookTrigger:
    """Due by a POST to the automation's own URL; `auth` None means unsigned.

    A request that is not `wanted` leads to a run that is `skipped/filtered`.
    """

    auth: WebhookAuth | None = None
    wanted: Wanted = Wanted()
    kind: TriggerKind = field(default=TriggerKind.WEBHOOK, init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualTrigger:
    """Started by a person only. Every automation may also be started by hand."""

    kind: TriggerKind = field(default=TriggerKind.MANUAL, init=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTrigger:
    """Due by what happens on the bus: any one of `conditions` is enough. `key` tells several of
    one automation apart across reloads."""

    conditions: tuple[EventCondition, ...]
    key: str
    kind: TriggerKind = field(default=TriggerKind.EVENT, init=False)


Trigger = CronTrigger | WebhookTrigger | EventTrigger | ManualTrigger
