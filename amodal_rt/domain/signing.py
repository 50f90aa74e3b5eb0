"""What a scheme of signatures is made of: data that the one verifier follows."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from amodal_rt.domain.secret import Text

TOLERANCE_SECONDS = 300
"""How far a signed time may be from ours, either way, unless the provider says otherwise."""
SHORTEST_SECRET = 16
"""Bytes. A shorter HMAC key can be guessed from one signed body."""
_PREFIX = "whsec_"
_PUBLIC_KEY_BYTES = 32
_PEM = re.compile(r"-----(?:BEGIN|END) PUBLIC KEY-----|\s")
_PUBLIC = ("-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----")
_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""What the DER of every uncompressed public key on the curve P-256 begins with (RFC 5480)."""
_P256_BYTES = 91
_SPELLED = {
    "utf8": "text",
    "base64": "base64, as in whsec_…",
    "hex": "hexadecimal digits",
    "spki": "a public key on P-256: PEM, or what stands in it between the two lines",
    "pem": "a public key in PEM",
}


class Kind(StrEnum):
    """How the secret proves itself."""

    HMAC = "hmac"
    ED25519 = "ed25519"
    ECDSA_P256 = "ecdsa-p256"
    TOKEN = "token"  # noqa: S105 - a word, no secret
    BASIC = "basic"
    JWT = "jwt"


SIGNS_NOTHING = frozenset({Kind.TOKEN, Kind.BASIC, Kind.JWT})
"""Kinds that prove who sends and not what: of the body they say nothing by themselves."""


Encoding = Literal["hex", "base64"]
Algorithm = Literal["sha256", "sha1", "sha512"]
Spelling = Literal["utf8", "base64", "hex", "spki", "pem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The header's whole value is one signature, behind `prefix`; with a `separator` a list of
    them, of which those behind another prefix are other schemes'."""

    prefix: str = ""
    required: bool = True
    separator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The value is a list of `name=value`: each `key` is a signature, `time` the signed time."""

    key: str
    time: str | None = None
    separator: str = ","


@dataclass(frozen=True, slots=True, kw_only=True)
class Versioned:
    """The value is a list of `version,signature` between spaces, as Standard Webhooks has it."""

    version: str = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTime:
    """When the sender signed: in `header`, else at the path `body` of the signed body, else in a
    field of the signature header. Unix time in `unit`s."""

    header: str | None = None
    body: tuple[str, ...] = ()
    unit: Literal["s", "ms"] = "s"
    tolerance_seconds: int = TOLERANCE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClaims:
    """What a JSON Web Token must be and say: signed by one of `algorithms` (never `none`), by
    `issuer` and for `audience` where they are given. `key_set` is the URL of the keys, None where
    a secret is the key. `body_claim` names the claim that holds the SHA-256 of the body."""

    algorithms: tuple[str, ...]
    issuer: str | None = None
    audience: str | None = None
    key_set: str | None = None
    body_claim: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to sign.

    `signed` is what the signature covers: literals and `{body}`, `{timestamp}` (its text as it
    stands on the wire), `{id}`, `{url}`, `{form}` (sorted keys and values, joined). `id_header`
    gives `{id}`. `spelling` says how the secret's text spells the key: `utf8`; `base64` behind
    `whsec_`; `hex` (a public key); `spki` (a P-256 public key in PEM, or its DER in base64);
    `pem` (a public key in PEM or as a JSON Web Key). `claims` belongs to `Kind.JWT`.
    """

    header: str
    kind: Kind = Kind.HMAC
    algorithm: Algorithm = "sha256"
    spelled: Plain | Fields | Versioned = Plain()
    encodings: tuple[Encoding, ...] = ("hex",)
    signed: tuple[str, ...] = ("{body}",)
    spelling: Spelling = "utf8"
    time: SignedTime | None = None
    id_header: str | None = None
    claims: TokenClaims | None = None

    @property
    def headers(self) -> tuple[str, ...]:
        """Every header that carries a proof or what was signed: each may stand once."""
        extra = (self.id_header, self.time.header if self.time else None)
        return (self.header, *(each for each in extra if each))


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """A text of a request: the value of `header`, else what stands at the path `body`."""

    header: str | None = None
    body: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryChallenge:
    """A GET by which a sender asks whether the endpoint is ours: the parameter `echo` is answered
    where the parameter `token_in` is `token`."""

    echo: str
    token_in: str
    token: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomScheme:
    """How a sender signs that no preset knows, and what its requests are called.

    `dedup` tells deliveries apart: None the usual way (a header with an id, and the body);
    "digest": the body alone. `event_type` names what happened.
    """

    recipe: Recipe
    dedup: Where | Literal["digest"] | None = None
    event_type: Where | None = None
    challenge: QueryChallenge | None = None


def key_of(recipe: Recipe, secret: str) -> bytes | None:
    """The key that a secret's text spells, or None where it spells none."""
    match recipe.spelling:
        case "utf8":
            return wire_bytes(secret) or None
        case "base64":
            return decoded(secret.removeprefix(_PREFIX), "base64") or None
        case "hex":
            return decoded(secret, "hex") or None
        case "spki":
            der = decoded(_PEM.sub("", secret), "base64")
            return der if der and len(der) == _P256_BYTES and der.startswith(_P256) else None
        case "pem":
            public = secret.startswith(_PUBLIC) or secret.startswith("{")
            return wire_bytes(secret) if public else None


def find_secret_fault(recipes: Sequence[Recipe], secret: str) -> str | None:
    """Why `secret` is no key of any of `recipes`, or None. Names nothing of the secret itself."""
    faults = [_key_fault(recipe, key_of(recipe, secret)) for recipe in recipes]
    return None if None in faults else faults[0]


def _key_fault(recipe: Recipe, key: bytes | None) -> str | None:
    if key is None:
        return f"is not spelled as {_SPELLED[recipe.spelling]}"
    if recipe.kind is Kind.BASIC and b":" not in key:
        return "is not spelled as a user and a password with a colon between them"
    if recipe.kind is Kind.ED25519 and len(key) != _PUBLIC_KEY_BYTES:
        return f"is no Ed25519 public key, which has {_PUBLIC_KEY_BYTES} bytes"
    if len(key) < SHORTEST_SECRET:
        return f"is shorter than {SHORTEST_SECRET} bytes"
    return None


def wire_bytes(text: str) -> bytes:
    """The bytes that `text` was on the wire or in the environment. Total, whatever it holds."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def decoded(text: str, encoding: Encoding) -> bytes | None:
    """The bytes that `text` spells in the one spelling that everybody writes, or None."""
    try:
        if encoding == "hex":
            # Both cases at once, or white space inside, is nobody's spelling.
            plain = text.isascii() and text.isalnum()
            one_case = text.islower() or text.isupper() or text.isdigit()
            return bytes.fromhex(text) if plain and one_case else None
        found = base64.b64decode(text.encode("ascii"), validate=True)
        # Unused bits of the last character would give one signature several spellings.
        return found if base64.b64encode(found).decode("ascii") == text else None
    except (ValueError, binascii.Error):
        return None
