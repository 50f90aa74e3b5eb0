"""Secrets that are recognised wherever they turn up, and the search for them."""

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping
from functools import cache
from urllib.parse import quote, quote_plus

PIECE = 10
"""So many of its random characters together give a secret away: what was cut, or split over two
rows, has one of them left."""


def canary(name: str, *, plain: bool = False) -> str:
    """A value of that name: thirty random characters between some that no encoding leaves as they
    are; a `plain` one has none of these."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest())
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    random = "".join(letters[digest // 36**place % 36] for place in range(3 * PIECE))
    return random if plain else f'c/{random}+=&"'


def random_part(value: str) -> str:
    """The thirty characters of a canary."""
    return value if len(value) == 3 * PIECE else value[2 : 2 + 3 * PIECE]


def spellings(value: str) -> dict[str, str]:
    """The forms in which whoever repeats a secret may do so."""
    raw = value.encode()
    found = {
        "raw": value,
        "base64": base64.b64encode(raw).decode(),
        "base64 for URLs": base64.urlsafe_b64encode(raw).decode(),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "percent": quote(value, safe=""),
        "percent and plus": quote_plus(value),
        "JSON": json.dumps(value)[1:-1],
        "HTML": html.escape(value),
    }
    for shift in range(1, 3):
        found[f"base64 behind {shift}"] = base64.b64encode(b"u" * shift + raw).decode()
    return found


@cache
def _marks(value: str) -> tuple[tuple[str, bytes], ...]:
    """What gives the value away, in which form."""
    part = random_part(value)
    pieces = [part[at : at + PIECE] for at in range(0, len(part), PIECE)]
    found: dict[str, bytes] = {}
    for number, piece in enumerate(pieces):
        raw = piece.encode()
        found[f"piece {number}"] = raw
        found[f"piece {number} backwards"] = raw[::-1]
        found[f"piece {number} in hex"] = raw.hex().encode()
        found[f"piece {number} in HEX"] = raw.hex().upper().encode()
        for shift in range(3):
            # The characters at either end depend on their neighbours.
            inner = base64.b64encode(b"u" * shift + raw)[(0, 2, 3)[shift] :]
            found[f"piece {number} in base64 at {shift}"] = inner.rstrip(b"=")[:-1]
    return tuple(found.items())


def find_leaks(artefacts: Mapping[str, bytes], values: Mapping[str, str]) -> set[str]:
    """`secret: artefact (form)` of each that was found."""
    return {
        f"{name}: {place} ({form})"
        for place, content in artefacts.items()
        for name, value in values.items()
        for form, mark in _marks(value)
        if mark in content
    }


def gossip(values: Iterable[str]) -> str:
    """A text that tells every secret in every spelling."""
    return "\n".join(text for value in values for text in spellings(value).values())
