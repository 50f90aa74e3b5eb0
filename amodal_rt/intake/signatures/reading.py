"""From headers to a proof. Total: any text gives a proof or the fault with it."""

import hashlib
from functools import lru_cache

from amodal_rt.domain.signing import Fields, Kind, Plain, Recipe, Versioned, decoded, wire_bytes
from amodal_rt.intake.headers import Headers
from amodal_rt.intake.signatures.request import Proof

MOST_SIGNATURES = 8
"""While a secret rotates there are two; more than this is no rotation."""
LONGEST_ID = 256
_LONGEST = 4096
_LONGEST_TOKEN = 8192
_ED25519_BYTES = 64
_DER_BYTES = range(8, 73)
"""How long two numbers of a P-256 signature are as DER."""
_SCHEMES = {Kind.BASIC: "basic ", Kind.JWT: "bearer "}
"""What stands before credentials, whatever its case (RFC 9110 §11.1)."""


def read_proof(recipe: Recipe, headers: Headers) -> Proof | str:
    """The proof that `recipe` expects, or the fault in words for the operator."""
    found: dict[str, str] = {}
    for name in recipe.headers:
        values = headers.all(name)
        if not values:
            return f"no {name} header"
        if len(values) > 1:
            # Which of the two a proxy or a parser believes is not ours to guess.
            return f"more than one {name} header"
        if len(values[0]) > (_LONGEST_TOKEN if recipe.kind is Kind.JWT else _LONGEST):
            return f"{name} header too long"
        found[name] = values[0]
    texts, stamp = _spelled(recipe, found[recipe.header])
    if not texts:
        return f"malformed {recipe.header} header"
    if len(texts) > MOST_SIGNATURES:
        return f"more than {MOST_SIGNATURES} signatures"
    signatures = [_bytes(recipe, text) for text in texts]
    good = tuple(each for each in signatures if each is not None)
    # One that is malformed beside a good one is no rotation: nobody who signs writes it.
    if len(good) < len(signatures):
        return f"malformed {recipe.header} header"
    if recipe.time and recipe.time.header:
        stamp = found[recipe.time.header]
    name = found.get(recipe.id_header or "", "")
    if recipe.id_header and not is_id(name):
        return f"malformed {recipe.id_header} header"
    return Proof(signatures=good, timestamp=stamp, id=name)


def is_id(text: str) -> bool:
    """Printable ASCII without a full stop: it stands between full stops in what is signed."""
    printable = text.isascii() and text.isprintable()
    return bool(text) and len(text) <= LONGEST_ID and printable and "." not in text


def _spelled(recipe: Recipe, value: str) -> tuple[list[str], str]:
    """The signatures' texts, and the time that stands among them."""
    scheme = _SCHEMES.get(recipe.kind)
    if scheme is not None and value[: len(scheme)].lower() == scheme:
        return [value[len(scheme) :]], ""
    match recipe.spelled:
        case Plain():
            return _plain(recipe.spelled, value), ""
        case Fields():
            return _fields(recipe.spelled, value)
        case Versioned(version=version):
            parts = [each.partition(",") for each in value.split(" ")]
            if not all(comma for _, comma, _ in parts):
                return [], ""
            return [text for name, _, text in parts if name == version], ""


def _plain(spelled: Plain, value: str) -> list[str]:
    prefix = spelled.prefix
    if spelled.separator is not None:
        parts = value.split(spelled.separator)
        # Nobody who signs writes an empty one.
        return [each[len(prefix) :] for each in parts if each.startswith(prefix)] * all(parts)
    if value.startswith(prefix):
        return [value[len(prefix) :]]
    return [] if spelled.required else [value]


def _fields(spelled: Fields, value: str) -> tuple[list[str], str]:
    pairs = [each.partition("=") for each in value.split(spelled.separator)]
    # Fields of other names are other schemes; what is no field is no header of ours.
    if not all(name and equals and text for name, equals, text in pairs):
        return [], ""
    stamps = [text for name, _, text in pairs if name == spelled.time]
    if spelled.time is not None and len(stamps) != 1:
        return [], ""
    texts = [text for name, _, text in pairs if name == spelled.key]
    return texts, stamps[0] if stamps else ""


def _bytes(recipe: Recipe, text: str) -> bytes | None:
    """The signature that `text` spells, if it has the right length; a token as it stands."""
    if recipe.kind in (Kind.TOKEN, Kind.JWT):
        return wire_bytes(text)
    if recipe.kind in (Kind.BASIC, Kind.ECDSA_P256):
        found = decoded(text, recipe.encodings[0])
        is_der = recipe.kind is Kind.BASIC or (found is not None and len(found) in _DER_BYTES)
        return found if is_der else None
    size = _ED25519_BYTES if recipe.kind is Kind.ED25519 else _digest_size(recipe.algorithm)
    for encoding in recipe.encodings:
        found = decoded(text, encoding)
        if found is not None and len(found) == size:
            return found
    return None


@lru_cache
def _digest_size(algorithm: str) -> int:
    return hashlib.new(algorithm).digest_size
