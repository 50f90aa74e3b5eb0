"""What a scheme of signatures is made of: data that the one verifier follows."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from amodal_rt.intake.headers import Headers

TOLERANCE_SECONDS = 300
"""How far a signed time may be from ours, either way, unless the provider says otherwise."""


class Kind(StrEnum):
    """How the secret proves itself."""

    HMAC = "hmac"
    ED25519 = "ed25519"
    TOKEN = "token"


Encoding = Literal["hex", "base64"]
Algorithm = Literal["sha256", "sha1", "sha512"]


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
    """When the sender signed: in `header`, else in a field of the signature header, else in the
    signed body at the top-level key `body`. Unix time in `unit`s."""

    header: str | None = None
    body: str | None = None
    unit: Literal["s", "ms"] = "s"
    tolerance_seconds: int = TOLERANCE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One way to sign.

    `signed` is what the signature covers: literals and `{body}`, `{timestamp}` (its text as it
    stands on the wire), `{id}`, `{url}`, `{form}` (sorted keys and values, joined). `id_header`
    gives `{id}`. `secret` says how the secret's text spells the key: `utf8`; `base64` behind
    `whsec_`; `hex` (a public key).
    """

    header: str
    kind: Kind = Kind.HMAC
    algorithm: Algorithm = "sha256"
    spelled: Plain | Fields | Versioned = Plain()
    encodings: tuple[Encoding, ...] = ("hex",)
    signed: tuple[str, ...] = ("{body}",)
    secret: Literal["utf8", "base64", "hex"] = "utf8"
    time: SignedTime | None = None
    id_header: str | None = None

    @property
    def headers(self) -> tuple[str, ...]:
        """Every header that carries a proof or what was signed: each may stand once."""
        extra = (self.id_header, self.time.header if self.time else None)
        return (self.header, *(each for each in extra if each))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a verdict is about. `urls` are the spellings under which the sender may know this
    endpoint, with the query; `body` is the exact bytes on the wire."""

    headers: Headers
    body: bytes
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The signatures of a request as bytes, with what else was signed."""

    signatures: tuple[bytes, ...]
    timestamp: str = ""
    id: str = ""
