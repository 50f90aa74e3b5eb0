"""The one verifier. Total: any bytes give a verdict, none an exception."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from urllib.parse import parse_qs, parse_qsl, urlsplit

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from amodal_rt.domain.signing import Kind, Recipe, SignedTime, TokenClaims, key_of, wire_bytes
from amodal_rt.intake.signatures.json_web_tokens import find_bearer
from amodal_rt.intake.signatures.reading import read_proof
from amodal_rt.intake.signatures.request import Bearer, Proof, Request

_MOST_DIGITS = 13
_MOST_FIELDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A request that somebody signed: by which way, and with which of the secrets."""

    recipe: Recipe
    secret: str


def find_signer(
    recipes: Sequence[Recipe], request: Request, secrets: Sequence[str], *, now: datetime
) -> Signed | str:
    """Who of `secrets` signed the request by the first of `recipes` whose header it has, else
    the cause, for the operator's eyes only. Every secret is tried, whichever fits."""
    recipe = next((each for each in recipes if request.headers.all(each.header)), recipes[0])
    proof = read_proof(recipe, request.headers)
    if isinstance(proof, str):
        return proof
    if recipe.claims is not None:
        found = _bearer(recipe, recipe.claims, proof, request, secrets, now)
        return Signed(recipe=recipe, secret=found.secret) if isinstance(found, Bearer) else found
    signer = _signer(recipe, proof, request, secrets)
    if signer is None:
        return "no secret gives this signature"
    late = _find_late(recipe, proof, request.body, now)
    return late or Signed(recipe=recipe, secret=signer)


def find_fault(
    recipes: Sequence[Recipe], request: Request, secrets: Sequence[str], *, now: datetime
) -> str | None:
    """None when one of `secrets` signed the request, else the cause: as `find_signer`."""
    found = find_signer(recipes, request, secrets, now=now)
    return found if isinstance(found, str) else None


def _bearer(
    recipe: Recipe,
    claims: TokenClaims,
    proof: Proof,
    request: Request,
    secrets: Sequence[str],
    now: datetime,
) -> Bearer | str:
    keys = [(secret, key) for secret in secrets if (key := key_of(recipe, secret))]
    return find_bearer(claims, proof.signatures[0], request.body, keys, now=now)


def _signer(recipe: Recipe, proof: Proof, request: Request, secrets: Sequence[str]) -> str | None:
    keys = [(secret, key) for secret in secrets if (key := key_of(recipe, secret))]
    signer: str | None = None
    for content in _contents(recipe, proof, request):
        for secret, key in keys:
            for given in proof.signatures:
                # No early exit: the time taken must not tell which secret came close.
                signer = secret if _agrees(recipe, key, content, given) else signer
    return signer


def _agrees(recipe: Recipe, key: bytes, content: bytes, given: bytes) -> bool:
    match recipe.kind:
        case Kind.TOKEN | Kind.BASIC:
            # Of one length whatever was sent, so that the time tells nothing of the secret's.
            mine, theirs = hashlib.sha256(key).digest(), hashlib.sha256(given).digest()
            return hmac.compare_digest(mine, theirs)
        case Kind.HMAC:
            return hmac.compare_digest(hmac.digest(key, content, recipe.algorithm), given)
        case Kind.ED25519:
            try:
                Ed25519PublicKey.from_public_bytes(key).verify(given, content)
            except (InvalidSignature, ValueError):
                return False
            return True
        case Kind.ECDSA_P256:
            return _is_on_p256(key, content, given)
        case Kind.JWT:
            return False


def _is_on_p256(key: bytes, content: bytes, given: bytes) -> bool:
    try:
        public = load_der_public_key(key)
        if not isinstance(public, EllipticCurvePublicKey):
            return False
        public.verify(given, content, ECDSA(SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def _contents(recipe: Recipe, proof: Proof, request: Request) -> Iterator[bytes]:
    """What may have been signed: one for each spelling of the endpoint's URL that counts."""
    stamp = proof.timestamp
    if recipe.time and recipe.time.body and "{timestamp}" in recipe.signed:
        stamp = _stamp_in(request.body, recipe.time.body)
    urls = request.urls if "{url}" in recipe.signed else ("",)
    for url in urls:
        form = _form(url, request) if "{form}" in recipe.signed else b""
        if form is None:
            continue
        parts = {
            "{body}": request.body,
            "{timestamp}": wire_bytes(stamp),
            "{id}": wire_bytes(proof.id),
            "{url}": wire_bytes(url),
            "{form}": form,
        }
        yield b"".join(parts[each] if each in parts else wire_bytes(each) for each in recipe.signed)


def _form(url: str, request: Request) -> bytes | None:
    """Twilio signs the sorted fields of a form; of any other body its digest in the URL's
    `bodySHA256`. None where that digest is not the body's."""
    try:
        said = parse_qs(urlsplit(url).query, max_num_fields=_MOST_FIELDS).get("bodySHA256")
        if said:
            digest = hashlib.sha256(request.body).hexdigest()
            return b"" if said == [digest] else None
        text = request.body.decode("utf-8")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        return None
    return wire_bytes("".join(name + value for name, value in sorted(set(pairs))))


def _find_late(recipe: Recipe, proof: Proof, body: bytes, now: datetime) -> str | None:
    time = recipe.time
    if time is None:
        return None
    stamp = _stamp_in(body, time.body) if time.body else proof.timestamp
    seconds = _seconds(stamp, time)
    if seconds is None:
        return "malformed timestamp"
    if abs(now.timestamp() - seconds) > time.tolerance_seconds:
        return f"signed more than {time.tolerance_seconds} seconds from now"
    return None


def _seconds(stamp: str, time: SignedTime) -> float | None:
    # Digits alone: "1e9" or "1.5" would be another text with the same signature to some.
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > _MOST_DIGITS:
        return None
    return int(stamp) / (1000 if time.unit == "ms" else 1)


def _stamp_in(body: bytes, path: Sequence[str]) -> str:
    try:
        data: object = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for key in path:
        data = cast("dict[str, object]", data).get(key) if isinstance(data, dict) else None
    # A number past what a time may be has no text at all in Python beyond 4,300 digits.
    if isinstance(data, int) and not isinstance(data, bool) and abs(data) < 10**_MOST_DIGITS:
        return str(data)
    return data if isinstance(data, str) else ""
