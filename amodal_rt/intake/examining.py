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
from amodal_rt.domain.signing import SHORTEST_SECRET, QueryChallenge, find_secret_fault
from amodal_rt.domain.trigger import WebhookAuth
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import UnavailableError
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.ids import Ids
from amodal_rt.intake import bodies, dedup, naming
from amodal_rt.intake.challenges import answer_to, echo_of
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.naming import EventName
from amodal_rt.intake.requests import (
    RETRY_AFTER_SECONDS,
    Answer,
    RawRequest,
    Refusal,
    Verified,
)
from amodal_rt.intake.signatures.key_sets import KeySets
from amodal_rt.intake.signatures.request import Request
from amodal_rt.intake.signatures.verifier import Signed, find_signer
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

    def __init__(self, causes: Causes, key_sets: KeySets, *, clock: Clock, ids: Ids) -> None:
        self._causes = causes
        self._key_sets = key_sets
        self._clock = clock
        self._ids = ids

    async def examine(
        self, request: RawRequest, place: Place, *, snapshot: Snapshot, environment: Environment
    ) -> Verified | Refusal | Answer:
        """The event to commit, the refusal, or the answer to a challenge. Only `read_body` may
        raise."""
        if refusal := self.wrong_method(request, place):
            return refusal
        if request.method == "GET":
            return self._greet(request, place, environment)
        auth, headers = place.auth, Headers(request.headers)
        if headers.compressed():
            message = "send the body without Content-Encoding"
            return self.refuse(place, 415, "compressed", message)
        secrets = await self._keys(auth, environment) if auth else ()
        if auth and not secrets:
            return self.later(place, "the endpoint's secret is not set, or is no key")
        body = await request.read_body(place.limit)
        if body is None:
            gone = {"Connection": "close"}
            return self.refuse(place, 413, "too_large", "the body is too large", headers=gone)
        secret = ""
        if auth:
            signed = Request(headers=headers, body=body, urls=_urls(request, headers, snapshot))
            found = await self._signer(auth, signed, secrets)
            if isinstance(found, str):
                return self._unsigned(place, found)
            secret = found.secret
        data = naming.unwrapped(auth, bodies.parse_body(body, headers.first("content-type")))
        if auth and (answer := answer_to(auth.scheme, data, secret)):
            return answer
        return self._named(place, headers, body, data, snapshot)

    def wrong_method(self, request: RawRequest, place: Place) -> Refusal | None:
        """The refusal of anything but POST, and of a GET where no sender asks by one."""
        allowed = ("GET", "POST") if _challenge(place.auth) else ("POST",)
        if request.method in allowed:
            return None
        return self.refuse(
            place, 405, "method_not_allowed", f"{' and '.join(allowed)} only",
            cause=f"method {request.method[:16]}", headers={"Allow": ", ".join(allowed)},
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

    async def _keys(self, auth: WebhookAuth, environment: Environment) -> Sequence[str]:
        """What may have signed; nothing where that cannot be had now."""
        url = _key_set(auth)
        if url is None:
            return usable_secrets(auth, environment)
        try:
            return await self._key_sets.keys(url)
        except UnavailableError:
            return ()

    async def _signer(
        self, auth: WebhookAuth, request: Request, secrets: Sequence[str]
    ) -> Signed | str:
        recipes, url = recipes_for(auth), _key_set(auth)
        found = find_signer(recipes, request, secrets, now=self._clock.now())
        if isinstance(found, str) and url is not None and await self._key_sets.renewed(url):
            secrets = await self._key_sets.keys(url)
            found = find_signer(recipes, request, secrets, now=self._clock.now())
        return found

    def _unsigned(self, place: Place, cause: str) -> Refusal:
        # One body for all causes: a stranger learns nothing from guessing.
        return self.refuse(
            place, 401, "bad_signature", "the signature is not valid",
            cause=f"bad_signature: {cause}",
        )  # fmt: skip

    def _greet(
        self, request: RawRequest, place: Place, environment: Environment
    ) -> Answer | Refusal:
        """The answer to a sender that asks whether this endpoint is ours."""
        challenge = _challenge(place.auth)
        token = _value(challenge.token, environment) if challenge else None
        if challenge is None or not token or len(token) < SHORTEST_SECRET:
            return self.later(
                place, "the challenge's token is not set, or is shorter than 16 bytes"
            )
        found = echo_of(challenge, token, request.target)
        return self._unsigned(place, found) if isinstance(found, str) else found

    def _named(
        self, place: Place, headers: Headers, body: bytes, data: object, snapshot: Snapshot
    ) -> Verified | Refusal:
        auth, name = place.auth, place.name(headers, data)
        if place.account and (name.account or "").casefold() != place.account.casefold():
            said = f"of the account {name.account}" if name.account else "of no account"
            return self.refuse(
                place, 202, "other_account", "of another account", cause=f"other_account: {said}"
            )
        called = dedup.name_in_headers(auth, headers)
        key = dedup.key_for(place.endpoint, auth, headers, called, body, data)
        row = naming.provider_of(auth)
        return Verified(
            endpoint=place.endpoint,
            event=self._event(place, headers, data, name, called or dedup.name_in_body(auth, data)),
            dedup=key,
            snapshot=snapshot,
            # Without a key, one that is sent again would count twice: better late than that.
            seconds=row.seconds if key else None,
            silent=row.silent,
        )

    def _event(
        self, place: Place, headers: Headers, data: object, name: EventName, called: str | None
    ) -> Event:
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
            delivery_id=called,
            order=order_of(name.at, now=now),
            headers=headers.kept(also_secret=_proofs(place.auth)),
        )


def usable_secrets(auth: WebhookAuth | None, environment: Environment) -> Sequence[str]:
    """The secrets that have a value now which is a key; any of them may have signed. One that can
    be guessed is none, and while a secret is rotated some may be unset."""
    values = [_value(secret, environment) for secret in auth.secrets] if auth else []
    recipes = recipes_for(auth) if auth else ()
    return [value for value in values if value and find_secret_fault(recipes, value) is None]


def has_key(auth: WebhookAuth, environment: Environment) -> bool:
    """Whether there is anything to hold a proof against, or a place to have it from."""
    return _key_set(auth) is not None or bool(usable_secrets(auth, environment))


def _challenge(auth: WebhookAuth | None) -> QueryChallenge | None:
    return auth.custom.challenge if auth and auth.custom else None


def _key_set(auth: WebhookAuth | None) -> str | None:
    claims = auth.custom.recipe.claims if auth and auth.custom else None
    return claims.key_set if claims else None


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
