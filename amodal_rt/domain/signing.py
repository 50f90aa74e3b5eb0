"""What a scheme of signatures is made of: data that the one verifier follows."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

TOLERANCE_SECONDS = 300
"""How far a signed time may be from ours, either way, unless the provider says otherwise."""
SHORTEST_SECRET = 16
"""Bytes. A shorter HMAC key can be guessed from one signed body."""
_PREFIX = "whsec_"
_PUBLIC_KEY_BYTES = 32


class Kind(StrEnum):
    """How the secret proves itself."""

    HMAC = "hmac"
    ED25519 = "ed25519"
    TOKEN = "token"  # noqa: S105 - a word, no secret


Encoding = Literal["hex", "base64"]
Algorithm = Literal["sha256", "sha1", "sha512"]
Spelling = Literal["utf8", "base64", "hex"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The header's whole value is one signature, behind `prefix`."""

    prefix: str = ""
    required: bool = True


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
class Recipe:
    """One way to sign.

    `signed` is what the signature covers: literals and `{body}`, `{timestamp}` (its text as it
    stands on the wire), `{id}`, `{url}`, `{form}` (sorted keys and values, joined). `id_header`
    gives `{id}`. `spelling` says how the secret's text spells the key: `utf8`; `base64` behind
    `whsec_`; `hex` (a public key).
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
class CustomScheme:
    """How a sender signs that no preset knows, and what its requests are called.

    `dedup` tells deliveries apart: None the usual way (a header with an id, and the body);
    "digest": the body alone. `event_type` names what happened.
    """

    recipe: Recipe
    dedup: Where | Literal["digest"] | None = None
    event_type: Where | None = None


def key_of(recipe: Recipe, secret: str) -> bytes | None:
    """The key that a secret's text spells, or None where it spells none."""
    match recipe.spelling:
        case "utf8":
            return wire_bytes(secret) or None
        case "base64":
            return decoded(secret.removeprefix(_PREFIX), "base64") or None
        case "hex":
            return decoded(secret, "hex") or None


def find_secret_fault(recipes: Sequence[Recipe], secret: str) -> str | None:
    """Why `secret` is no key of any of `recipes`, or None. Names nothing of the secret itself."""
    faults = [_key_fault(recipe, key_of(recipe, secret)) for recipe in recipes]
    return None if None in faults else faults[0]


def _key_fault(recipe: Recipe, key: bytes | None) -> str | None:
    if key is None:
        spelled = {"utf8": "text", "base64": "base64, as in whsec_…", "hex": "hexadecimal digits"}
        return f"is not spelled as {spelled[recipe.spelling]}"
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
