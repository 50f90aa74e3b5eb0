"""From a request on a known endpoint to a verified event, an answer or a refusal.

The order is that of cost and of what a stranger may learn: method, encoding, secrets, size,
signature over the raw bytes; only then is anything parsed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from amodal_rt.clock import Clock
from amodal_rt.domain.event import AHEAD, Event, Rejection, order_of
from amodal_rt.domain.presets import recipes_for
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.domain.signing import find_secret_fault
from amodal_rt.domain.trigger import WebhookAuth
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.ids import Ids
from amodal_rt.intake import bodies, dedup, naming
from amodal_rt.intake.challenges import answer_to
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.naming import EventName
from amodal_rt.intake.requests import (
    RETRY_AFTER_SECONDS,
    Answer,
    RawRequest,
    Refusal,
    Verified,
)
from amodal_rt.intake.signatures.request import Request
from amodal_rt.intake.signatures.verifier import find_signer
from amodal_rt.settings import Environment

_LONGEST_HOST = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A known endpoint, as a request finds it.

    `endpoint` is what rejections and duplicates are counted by. `address` is the automation
    that its events are addressed to. `account` is whose events alone count.
    """

    endpoint: str
    auth: WebhookAuth | None
    limit: int
    name: Callable[[Headers, object], EventName]
    address: str | None = None
    account: str | None = None


class Examiner:
    """Judges one request at a time, by the environment of the moment."""

    def __init__(self, causes: Causes, *, clock: Clock, ids: Ids) -> None:
        self._causes = causes
        self._clock = clock
        self._ids = ids

    async def examine(
        self, request: RawRequest, place: Place, *, snapshot: Snapshot, environment: Environment
    ) -> Verified | Refusal | Answer:
        """The event to commit, the refusal, or the answer to a challenge. Only `read_body` may
        raise."""
        if refusal := self.wrong_method(request, place):
            return refusal
        auth, headers = place.auth, Headers(request.headers)
        if headers.compressed():
            message = "send the body without Content-Encoding"
            return self.refuse(place, 415, "compressed", message)
        secrets = usable_secrets(auth, environment)
        if auth and not secrets:
            return self.later(place, "the endpoint's secret is not set, or is no key")
        body = await request.read_body(place.limit)
        if body is None:
            gone = {"Connection": "close"}
            return self.refuse(place, 413, "too_large", "the body is too large", headers=gone)
        secret = ""
        if auth:
            signed = Request(headers=headers, body=body, urls=_urls(request, headers, snapshot))
            found = find_signer(recipes_for(auth), signed, secrets, now=self._clock.now())
            if isinstance(found, str):
                # One body for all causes: a stranger learns nothing from guessing.
                return self.refuse(
                    place, 401, "bad_signature", "the signature is not valid",
                    cause=f"bad_signature: {found}",
                )  # fmt: skip
            secret = found.secret
        data = naming.unwrapped(auth, bodies.parse_body(body, headers.first("content-type")))
        if auth and (answer := answer_to(auth.scheme, data, secret)):
            return answer
        return self._named(place, headers, body, data, snapshot)

    def wrong_method(self, request: RawRequest, place: Place) -> Refusal | None:
        """The refusal of anything but POST."""
        if request.method == "POST":
            return None
        return self.refuse(
            place, 405, "method_not_allowed", "POST only",
            cause=f"method {request.method[:16]}", headers={"Allow": "POST"},
        )  # fmt: skip

    def later(self, place: Place, cause: str) -> Refusal:
        """503: what is wrong is wrong here, so the sender must come again."""
        return self.refuse(
            place, 503, "unavailable", "not possible right now", cause=cause,
            headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
        )  # fmt: skip

    def refuse(
        self, place: Place, status: int, code: str, message: str, *,
        cause: str | None = None, headers: Mapping[str, str] | None = None,
    ) -> Refusal:  # fmt: skip
        """A refusal that is counted, with the cause that the sender is not told."""
        at: datetime = self._clock.now()
        rejection = Rejection(
            endpoint=place.endpoint, automation=place.address, reason=cause or code, at=at
        )
        return Refusal(
            status=status, code=code, message=message, headers=headers or {}, rejection=rejection
        )

    def _named(
        self, place: Place, headers: Headers, body: bytes, data: object, snapshot: Snapshot
    ) -> Verified | Refusal:
        auth, name = place.auth, place.name(headers, data)
        if place.account and (name.account or "").casefold() != place.account.casefold():
            said = f"of the account {name.account}" if name.account else "of no account"
            return self.refuse(
                place, 202, "other_account", "of another account", cause=f"other_account: {said}"
            )
        key = dedup.key_for(place.endpoint, auth, headers, body, data)
        row = naming.provider_of(auth)
        return Verified(
            endpoint=place.endpoint,
            event=self._event(place, headers, data, name),
            dedup=key,
            snapshot=snapshot,
            # Without a key, one that is sent again would count twice: better late than that.
            seconds=row.seconds if key else None,
            silent=row.silent,
        )

    def _event(self, place: Place, headers: Headers, data: object, name: EventName) -> Event:
        now = self._clock.now()
        cause = self._causes.read(headers.all(HEADER))
        return Event(
            id=self._ids.event(),
            type=name.type,
            source=name.source,
            subject=name.subject,
            actor=name.actor or (f"run:{cause.run_id}" if cause and cause.run_id else None),
            depth=cause.depth + 1 if cause else 0,
            cause=cause.run_id if cause else None,
            data=data,
            time=name.at if name.at and name.at <= now + AHEAD else now,
            received_at=now,
            address=place.address,
            delivery_id=dedup.name_of(place.auth, headers, data),
            order=order_of(name.at, now=now),
            headers=headers.kept(also_secret=_proofs(place.auth)),
        )


def usable_secrets(auth: WebhookAuth | None, environment: Environment) -> Sequence[str]:
    """The secrets that have a value now which is a key; any of them may have signed. One that can
    be guessed is none, and while a secret is rotated some may be unset."""
    values = [_value(secret, environment) for secret in auth.secrets] if auth else []
    recipes = recipes_for(auth) if auth else ()
    return [value for value in values if value and find_secret_fault(recipes, value) is None]


def _value(secret: Text, environment: Environment) -> str | None:
    return environment.find(secret.name) if isinstance(secret, SecretRef) else secret


def _proofs(auth: WebhookAuth | None) -> frozenset[str]:
    """Headers that hold a proof, in lower case."""
    return frozenset(each.header for each in recipes_for(auth)) if auth else frozenset()


def _urls(request: RawRequest, headers: Headers, snapshot: Snapshot) -> tuple[str, ...]:
    """The spellings of this endpoint's URL that a sender may have signed.

    Where `publicUrl` says what they are, `Host` counts for nothing: whoever sends chooses it,
    and could so bring along what was signed for another place.
    """
    public = snapshot.settings.public_url
    if public:
        base = public.rstrip("/")
        port = urlsplit(base).port
        bare = base.removesuffix(f":{port}") if port else base
        return tuple(f"{each}{request.target}" for each in dict.fromkeys((base, bare)))
    host = headers.first("host") or ""
    if not host or len(host) > _LONGEST_HOST:
        return ()
    return tuple(f"{scheme}://{host}{request.target}" for scheme in ("https", "http"))
