"""`POST /webhooks/<id>`: from a raw request to a verified event, or to a refusal.

The order is that of cost and of what a stranger may learn: endpoint, method, state of the
automation, encoding, size, signature over the raw bytes; only then is anything parsed.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from amodal_rt.clock import Clock
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.domain.trigger import WebhookAuth
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.ids import Ids
from amodal_rt.intake import bodies, dedup, naming
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.signatures.presets import recipes_for
from amodal_rt.intake.signatures.recipes import Request
from amodal_rt.intake.signatures.verifier import find_fault
from amodal_rt.ports import Catalogue
from amodal_rt.settings import Environment

RETRY_AFTER_SECONDS = 30
"""What `Retry-After` says when a request cannot be made durable right now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """One request as it came: nothing in it is believed.

    `headers` is in wire order, repeated names included. `read_body(limit)` gives the exact
    bytes on the wire, or None when there are more than `limit`; it is called at most once,
    and raises `TimeoutError` for a sender that is too slow.
    """

    endpoint: str
    method: str
    headers: Sequence[tuple[str, str]]
    read_body: Callable[[int], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A request whose sender proved itself: what to commit.

    `definition` and `snapshot` are those that it was judged by; `event.address` is the
    automation's stem.
    """

    event: Event
    dedup: DedupKey | None
    definition: Definition
    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request is not taken, as the sender may know it.

    `rejection` is for the ledger, with the cause that the sender is not told; None where
    the endpoint is unknown.
    """

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    rejection: Rejection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the door sends back: status, JSON document, extra headers."""

    status: int
    document: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class EndpointNames(Protocol):
    """Whose endpoint an id is."""

    def find(self, endpoint: str) -> str | None:
        """The automation's stem, or None for an unknown id."""
        ...


class _Admitted(NamedTuple):
    """A request whose body is worth reading, with what it will be judged by."""

    snapshot: Snapshot
    definition: Definition
    auth: WebhookAuth | None
    headers: Headers
    secrets: Sequence[str]


UNKNOWN = Refusal(status=404, code="not_found", message="no such webhook")


class WebhookIntake:
    """Judges requests by the newest snapshot and the environment of the moment."""

    def __init__(
        self,
        catalogue: Catalogue,
        endpoints: EndpointNames,
        causes: Causes,
        *,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._catalogue = catalogue
        self._endpoints = endpoints
        self._causes = causes
        self._clock = clock
        self._ids = ids

    async def verify(self, request: RawRequest) -> Verified | Refusal:
        """The event to commit, or the refusal to answer. Only `read_body` may raise."""
        admitted = self._screen(request)
        if isinstance(admitted, Refusal):
            return admitted
        definition, auth, headers = admitted.definition, admitted.auth, admitted.headers
        stem = definition.automation.name
        body = await request.read_body(definition.automation.limits.webhook_bytes)
        if body is None:
            return self._refuse(
                request, stem, 413, "too_large", "the body is too large",
                headers={"Connection": "close"},
            )  # fmt: skip
        if auth:
            signed = Request(headers=headers, body=body)
            recipes, now = recipes_for(auth), self._clock.now()
            fault = find_fault(recipes, signed, admitted.secrets, now=now)
            if fault:
                # One body for all causes: a stranger learns nothing from guessing.
                return self._refuse(
                    request, stem, 401, "bad_signature", "the signature is not valid",
                    cause=f"bad_signature: {fault}",
                )  # fmt: skip
        event = self._event(stem, auth, headers, body)
        return Verified(
            event=event,
            dedup=dedup.key_for(
                request.endpoint,
                auth,
                event.delivery_id,
                headers.first(naming.GITHUB_EVENT),
                body,
                event.data,
            ),
            definition=definition,
            snapshot=admitted.snapshot,
        )

    def _screen(self, request: RawRequest) -> _Admitted | Refusal:
        """What can be said before the body is read."""
        stem = self._endpoints.find(request.endpoint)
        snapshot = self._catalogue.snapshot()
        state = snapshot.automations.get(stem) if stem else None
        trigger = state.definition.automation.webhook if state and state.definition else None
        if state is None or (state.definition and trigger is None):
            return UNKNOWN
        if request.method != "POST":
            return self._refuse(
                request, state.name, 405, "method_not_allowed", "POST only",
                cause=f"method {request.method[:16]}", headers={"Allow": "POST"},
            )  # fmt: skip
        if state.definition is None or trigger is None or not state.runnable:
            return self._later(request, state.name, "the automation is invalid")
        headers = Headers(request.headers)
        if headers.compressed():
            return self._refuse(
                request, state.name, 415, "compressed", "send the body without Content-Encoding"
            )
        secrets = _secrets(trigger.auth, self._catalogue.environment())
        if trigger.auth and not secrets:
            return self._later(request, state.name, "the webhook's secret is not set")
        return _Admitted(
            snapshot=snapshot,
            definition=state.definition,
            auth=trigger.auth,
            headers=headers,
            secrets=secrets,
        )

    def _event(self, stem: str, auth: WebhookAuth | None, headers: Headers, body: bytes) -> Event:
        now = self._clock.now()
        data = bodies.parse_body(body, headers.first("content-type"))
        name = naming.name_for(auth, stem, headers, data)
        cause = self._causes.read(headers.all(HEADER))
        return Event(
            id=self._ids.event(),
            type=name.type,
            source=name.source,
            subject=name.subject,
            actor=name.actor or (f"run:{cause.run_id}" if cause and cause.run_id else None),
            depth=cause.depth + 1 if cause else 0,
            data=data,
            time=now,
            received_at=now,
            address=stem,
            delivery_id=dedup.delivery_id(auth, headers),
            headers=headers.kept(also_secret=_proofs(auth)),
        )

    def _later(self, request: RawRequest, stem: str, cause: str) -> Refusal:
        return self._refuse(
            request, stem, 503, "unavailable", "not possible right now", cause=cause,
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )  # fmt: skip

    def _refuse(
        self, request: RawRequest, stem: str, status: int, code: str, message: str, *,
        cause: str | None = None, headers: Mapping[str, str] | None = None,
    ) -> Refusal:  # fmt: skip
        at: datetime = self._clock.now()
        return Refusal(
            status=status,
            code=code,
            message=message,
            headers=headers or {},
            rejection=Rejection(
                endpoint=request.endpoint, automation=stem, reason=cause or code, at=at
            ),
        )


def _secrets(auth: WebhookAuth | None, environment: Environment) -> list[str]:
    """The secrets that have a value now; any of them may have signed."""
    found = [_value(secret, environment) for secret in auth.secrets] if auth else []
    return [value for value in found if value]


def _proofs(auth: WebhookAuth | None) -> frozenset[str]:
    """Headers that hold a proof, in lower case."""
    return frozenset(each.header for each in recipes_for(auth)) if auth else frozenset()


def _value(secret: Text, environment: Environment) -> str | None:
    return environment.find(secret.name) if isinstance(secret, SecretRef) else secret
