"""The one verifier. Total: any bytes give a verdict, none an exception."""

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import cast
from urllib.parse import parse_qs, parse_qsl, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from amodal_rt.intake.signatures.reading import decoded, read_proof
from amodal_rt.intake.signatures.recipes import Kind, Proof, Recipe, Request, SignedTime

SHORTEST_SECRET = 16
"""Bytes. A shorter HMAC key can be guessed from one signed body."""
_MOST_DIGITS = 13
_MOST_FIELDS = 1000
_PREFIX = "whsec_"


def find_fault(
    recipes: Sequence[Recipe], request: Request, secrets: Sequence[str], *, now: datetime
) -> str | None:
    """None when one of `secrets` signed the request by the first of `recipes` whose header it
    has, else the cause, for the operator's eyes only. Every secret is tried, whichever fits."""
    recipe = next((each for each in recipes if request.headers.all(each.header)), recipes[0])
    proof = read_proof(recipe, request.headers)
    if isinstance(proof, str):
        return proof
    if not _is_signed(recipe, proof, request, secrets):
        return "no secret gives this signature"
    return _find_late(recipe, proof, request.body, now)


def key_of(recipe: Recipe, secret: str) -> bytes | None:
    """The key that a secret's text spells, or None where it spells none."""
    match recipe.secret:
        case "utf8":
            return secret.encode("utf-8", "surrogateescape") or None
        case "base64":
            return decoded(secret.removeprefix(_PREFIX), "base64") or None
        case "hex":
            return decoded(secret, "hex") or None


def _is_signed(recipe: Recipe, proof: Proof, request: Request, secrets: Sequence[str]) -> bool:
    keys = [key for secret in secrets if (key := key_of(recipe, secret))]
    matched = False
    for content in _contents(recipe, proof, request):
        for key in keys:
            for given in proof.signatures:
                # No early exit: the time taken must not tell which secret came close.
                matched |= _agrees(recipe, key, content, given)
    return matched


def _agrees(recipe: Recipe, key: bytes, content: bytes, given: bytes) -> bool:
    match recipe.kind:
        case Kind.TOKEN:
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


def _contents(recipe: Recipe, proof: Proof, request: Request) -> Iterator[bytes]:
    """What may have been signed: one for each spelling of the endpoint's URL that counts."""
    urls = request.urls if "{url}" in recipe.signed else ("",)
    for url in urls:
        form = _form(url, request) if "{form}" in recipe.signed else b""
        if form is None:
            continue
        parts = {
            "{body}": request.body,
            "{timestamp}": proof.timestamp.encode("utf-8", "surrogateescape"),
            "{id}": proof.id.encode("ascii", "replace"),
            "{url}": url.encode("utf-8", "surrogateescape"),
            "{form}": form,
        }
        yield b"".join(parts.get(each, each.encode()) for each in recipe.signed)


def _form(url: str, request: Request) -> bytes | None:
    """Twilio signs the sorted fields of a form; of any other body its digest in the URL's
    `bodySHA256`. None where that digest is not the body's."""
    said = parse_qs(urlsplit(url).query).get("bodySHA256")
    if said:
        digest = hashlib.sha256(request.body).hexdigest()
        return b"" if said == [digest] else None
    try:
        pairs = parse_qsl(
            request.body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        return None
    return "".join(name + value for name, value in sorted(set(pairs))).encode(
        "utf-8", "surrogateescape"
    )


def _find_late(recipe: Recipe, proof: Proof, body: bytes, now: datetime) -> str | None:
    time = recipe.time
    if time is None:
        return None
    stamp = proof.timestamp if time.body is None else _stamp_in(body, time.body)
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


def _stamp_in(body: bytes, key: str) -> str:
    try:
        data: object = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    found = cast("dict[str, object]", data).get(key) if isinstance(data, dict) else None
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else ""
