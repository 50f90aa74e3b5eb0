"""An event: a verified fact, past tense."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

AHEAD = timedelta(minutes=5)
"""How far a source's clock may be ahead of ours."""
REPLAY_OF = "ce-replayof"
"""Which event a replay is of, among the headers of the new one."""
SENT_ID = "ce-id"
"""What the sender of a CloudEvent called it, among its headers: with its source it is the same
event wherever it is handed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """CloudEvents 1.0 in our words.

    `data` is what the sender said, parsed if it was JSON or a form, else its text, None
    when the body was empty. `address` names the automation that it is sent to and to no other,
    a comma between several; None for what goes over the bus. `depth` counts from the causing
    run, which is `cause` where one of ours is known. `headers` holds what may be kept of the
    request (no signature, token or authorization). `order` says where it stands among the events
    of its source: texts that sort as they happened there. `time` is when that was, as far as its
    source says so.
    """

    id: str
    type: str
    source: str
    data: object
    time: datetime
    received_at: datetime
    subject: str | None = None
    actor: str | None = None
    depth: int = 0
    address: str | None = None
    delivery_id: str | None = None
    cause: str | None = None
    order: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def addressees(self) -> tuple[str, ...]:
        """The automations of `address`, by their stems."""
        return tuple(self.address.split(",")) if self.address else ()

    @property
    def replay_of(self) -> str | None:
        """The event that somebody asked for again, as this one; None where it is the first."""
        return self.headers.get(REPLAY_OF)


@dataclass(frozen=True, slots=True, kw_only=True)
class DedupKey:
    """What makes two deliveries the same one: unique per endpoint for seven days.

    Each of `keys` alone is enough (GitHub: the delivery id, and the body's digest).
    Empty: every request is new. `apiece` holds, by automation, endpoint and key of what makes
    another delivery the same event to that automation alone.
    """

    endpoint: str
    keys: tuple[str, ...]
    apiece: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A request on a known endpoint that was refused, for `ops events list --rejected`."""

    endpoint: str
    automation: str | None
    reason: str
    at: datetime


def order_at(instant: datetime) -> str:
    """The instant as all texts spell it by which events are ordered: one spelling, whatever the
    source's own, or times of two kinds would sort by their digits."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def order_of(said: datetime | None, *, now: datetime) -> str | None:
    """Where an event of that time stands among those of its source, or None when that is not
    known. A time that is yet to come does not count: whatever came next would be stale."""
    return order_at(said) if said and said <= now + AHEAD else None
