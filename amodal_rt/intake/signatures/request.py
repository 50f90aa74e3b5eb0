"""What the verifier is asked about, and what it reads from it."""

from dataclasses import dataclass

from amodal_rt.intake.headers import Headers


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """A token that one of the keys signed: the text that spells that key."""

    secret: str
