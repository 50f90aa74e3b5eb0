"""JSON Web Tokens (RFC 7519) as proofs. Total: any bytes give a verdict, none an exception.

What may be is said by the file: the algorithms, who issues, for whom. What a token says of its own
key (`jwk`, `jku`, `x5u`) is never looked at, `alg` only as one of those that may be.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import jwt

from amodal_rt.domain.signing import TOLERANCE_SECONDS, TokenClaims
from amodal_rt.intake.signatures.request import Bearer

LEEWAY_SECONDS = 60
"""How far the clocks of the two sides may be apart."""
_SIGNED = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
"""Times are judged by our own clock."""
_NOT_OURS = (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What a foreign token, or a key that does not fit it, may bring the library to raise."""


def find_bearer(
    claims: TokenClaims,
    token: bytes,
    body: bytes,
    keys: Sequence[tuple[str, bytes]],
    *,
    now: datetime,
) -> Bearer | str:
    """Whose key signed the token, or the cause why nobody's counts, for the operator alone."""
    header = _header(token)
    if header is None:
        return "malformed token"
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in claims.algorithms:
        return "the token's algorithm is not one that may be"
    fault = "no key gives this signature"
    for secret, key in keys:
        said = _said(claims, token, key, algorithm, kid)
        if isinstance(said, str):
            fault = said if said != _UNSIGNED else fault
            continue
        late = _find_late(said, now) or _find_other_body(claims, said, body)
        if late is None:
            return Bearer(secret=secret)
        fault = late
    return fault


_UNSIGNED = "unsigned"


def _said(
    claims: TokenClaims, token: bytes, key: bytes, algorithm: str, kid: object
) -> Mapping[str, Any] | str:
    """What it says where that key signed it, else why it does not count."""
    options: Any = {
        **_SIGNED,
        "verify_aud": claims.audience is not None,
        "verify_iss": claims.issuer is not None,
        "require": [
            name
            for name, wanted in (("iss", claims.issuer), ("aud", claims.audience))
            if wanted is not None
        ],
        "enforce_minimum_key_length": True,
    }
    try:
        return jwt.decode(
            token,
            _key(key, algorithm, kid),
            algorithms=[algorithm],
            issuer=claims.issuer,
            audience=claims.audience,
            options=options,
        )
    except (jwt.InvalidAudienceError, jwt.InvalidIssuerError, jwt.MissingRequiredClaimError):
        return "the token is of another issuer, or for another audience"
    except _NOT_OURS:
        return _UNSIGNED


def _key(key: bytes, algorithm: str, kid: object) -> Any:
    if not key.startswith(b"{"):
        return key
    said = cast("dict[str, Any]", json.loads(key))
    if isinstance(kid, str) and said.get("kid", kid) != kid:
        raise ValueError("the key of another name")
    # A key set is public: what it calls a shared secret would be everybody's.
    if said.get("kty") == "oct" or said.get("use", "sig") != "sig":
        raise ValueError("no key that signs")
    if said.get("alg", algorithm) != algorithm:
        raise ValueError("the key of another algorithm")
    return jwt.PyJWK(said, algorithm=algorithm)


def _header(token: bytes) -> Mapping[str, object] | None:
    """The header of a token whose three parts are spelled in the one way that everybody writes."""
    parts = token.split(b".")
    if len(parts) != 3 or not all(map(_is_plain, parts)):
        return None
    try:
        found: object = json.loads(_decoded(parts[0]))
    except (ValueError, RecursionError):
        return None
    return cast("Mapping[str, object]", found) if isinstance(found, dict) else None


def _is_plain(part: bytes) -> bool:
    # Unused bits, padding and stray characters would give one token several spellings.
    try:
        return bool(part) and base64.urlsafe_b64encode(_decoded(part)).rstrip(b"=") == part
    except ValueError:
        return False


def _decoded(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def _find_late(said: Mapping[str, Any], now: datetime) -> str | None:
    at = now.timestamp()
    exp, nbf, iat = (_instant(said, name) for name in ("exp", "nbf", "iat"))
    if isinstance(exp, str) or isinstance(nbf, str) or isinstance(iat, str):
        return "malformed time in the token"
    if exp is None and iat is None:
        return "the token never expires"
    if exp is not None and at >= exp + LEEWAY_SECONDS:
        return "the token has expired"
    if exp is None and iat is not None and at > iat + TOLERANCE_SECONDS:
        return f"the token was made more than {TOLERANCE_SECONDS} seconds ago"
    if max(nbf or 0, iat or 0) > at + LEEWAY_SECONDS:
        return "the token is of a time to come"
    return None


def _instant(said: Mapping[str, Any], name: str) -> float | str | None:
    value: object = said.get(name)
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # A number past what a time may be cannot be compared in every form that JSON has for it.
    return cast("float", value) if number and abs(cast("float", value)) < 1e12 else "malformed"


def _find_other_body(claims: TokenClaims, said: Mapping[str, Any], body: bytes) -> str | None:
    if claims.body_claim is None:
        return None
    digest = hashlib.sha256(body).digest()
    spelled = (
        digest.hex(),
        base64.b64encode(digest).decode("ascii"),
        base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii"),
    )
    given = said.get(claims.body_claim)
    text = given.encode("utf-8", "replace") if isinstance(given, str) else b""
    same = [hmac.compare_digest(text, each.encode("ascii")) for each in spelled]
    return None if any(same) else "the token is of another body"
