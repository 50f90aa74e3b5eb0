"""What passes between a door and the intake: raw requests in, verdicts and answers out."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.workspace import Snapshot

RETRY_AFTER_SECONDS = 30
"""What `Retry-After` says when a request cannot be made durable right now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """One request as it came: nothing in it is believed.

    `headers` is in wire order, repeated names included. `read_body(limit)` gives the exact
    bytes on the wire, or None when there are more than `limit`; it is called at most once,
    and raises `TimeoutError` for a sender that is too slow. `key` is the second part of an
    integration's address. `target` is the path with the query, as it was sent.
    """

    endpoint: str
    method: str
    headers: Sequence[tuple[str, str]]
    read_body: Callable[[int], Awaitable[bytes | None]]
    key: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A request whose sender proved itself: what to commit.

    `endpoint` is what its refusals and duplicates are counted by. `snapshot` is the one that it was
    judged by. `event.address` is the automation's stem where it came to an automation's own URL,
    None where it goes over the bus. `seconds`: the sender gives up, or takes us for dead, when it
    has no answer by then; None where it is patient, or would be told of no duplicate when it comes
    again. `silent`: it wants no body in the answer.
    """

    endpoint: str
    event: Event
    dedup: DedupKey | None
    snapshot: Snapshot
    seconds: float | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is not taken, as the sender may know it.

    `rejection` is for the ledger, with the cause that the sender is not told; None where
    the endpoint is unknown. A status of 202 is for what is well-formed and not wanted: a sender
    that is told 4xx drops the endpoint.
    """

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    rejection: Rejection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the door sends back: status, JSON document or plain `text`, extra headers."""

    status: int
    document: Mapping[str, object] = field(default_factory=dict[str, object])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    text: str | None = None
