"""Identifiers and randomness. The only module that draws random bytes.

Run ids are `run_` and 16 lower-case Crockford base32 characters: 42 bits of milliseconds,
then 38 random bits, so that they sort by creation and are safe in URLs and file names.
"""

import hashlib
import hmac
import secrets
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from amodal_rt.clock import Clock, from_millis, to_millis

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TIME_BITS = 42
_RANDOM_BITS = 38


class Ids(Protocol):
    """Fresh identifiers; a test gives a seeded source."""

    def run(self) -> str:
        """`run_` + 16 characters."""
        ...

    def event(self) -> str:
        """`evt_` + 16 characters."""
        ...

    def delivery(self) -> str:
        """`msg_` + 16 characters: also the stable `webhook-id` of all its attempts."""
        ...

    def write(self) -> str:
        """`write_` + 16 characters: a parked write, and the idempotency key of its one call."""
        ...

    def node(self) -> str:
        """`node_` + 16 characters: one life of one daemon."""
        ...

    def token(self, size: int = 16) -> str:
        """`size` random bytes as lower-case base32: delimiters and secrets."""
        ...

    def fraction(self) -> float:
        """A number in [0, 1), for jitter."""
        ...


class SystemIds:
    """Identifiers from the operating system's randomness."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._drawn: list[bytes] = []

    def run(self) -> str:
        return "run_" + self._sortable()

    def event(self) -> str:
        return "evt_" + self._sortable()

    def delivery(self) -> str:
        return "msg_" + self._sortable()

    def write(self) -> str:
        return "write_" + self._sortable()

    def node(self) -> str:
        return "node_" + self._sortable()

    def token(self, size: int = 16) -> str:
        return base32(secrets.token_bytes(size))

    def fraction(self) -> float:
        return secrets.randbits(53) / (1 << 53)

    def _sortable(self) -> str:
        return sortable(self._clock.now(), int.from_bytes(self._draw()))

    def _draw(self) -> bytes:
        """Five random bytes that no other call gets. Asking the kernel for each lets go of the
        interpreter, which a busy writer then takes."""
        try:
            return self._drawn.pop()
        except IndexError:
            fresh = secrets.token_bytes(5 * 256)
            self._drawn += [fresh[place : place + 5] for place in range(5, len(fresh), 5)]
            return fresh[:5]


def sortable(instant: datetime, randomness: int) -> str:
    """16 Crockford base32 characters that sort by `instant`."""
    millis = to_millis(instant) & ((1 << _TIME_BITS) - 1)
    value = (millis << _RANDOM_BITS) | (randomness & ((1 << _RANDOM_BITS) - 1))
    return _encode(value, 16)


def drawn_at(id: str) -> datetime:
    """When a sortable id was made, by its maker's clock. Raises ValueError for another text."""
    value = 0
    for character in id.rpartition("_")[2]:
        value = value << 5 | _ALPHABET.index(character)
    return from_millis(value >> _RANDOM_BITS & ((1 << _TIME_BITS) - 1))


def base32(raw: bytes) -> str:
    """Crockford base32, lower case, no padding, most significant bit first."""
    length = -(-len(raw) * 8 // 5)
    return _encode(int.from_bytes(raw, "big") << (length * 5 - len(raw) * 8), length)


def session(run_id: str) -> str:
    """The session of a run: `auto_run_…` for `run_…`."""
    return "auto_" + run_id


@lru_cache(maxsize=4_096)
def automation(stem: str) -> str:
    """`aut_` + hash of the stem: the same on every machine, unlike the webhook id."""
    return "aut_" + base32(hashlib.sha256(stem.encode()).digest()[:10])


def trigger(stem: str, told: str) -> str:
    """`trg_` + the automation's own hash + that of what the trigger says: the same on every
    machine, for as long as both stay as they are."""
    return f"trg_{automation(stem).removeprefix('aut_')}" + base32(
        hashlib.sha256(told.encode()).digest()[:5]
    )


def webhook(key: bytes, stem: str, rotation: int) -> str:
    """`auto_` + 16 characters: HMAC of the name under the workspace's key.

    Stable across deployments of one key and not guessable without it; `rotation`
    counts how often `rotate-url` was asked for.
    """
    text = stem if rotation == 0 else f"{stem}#{rotation}"
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return "auto_" + base32(digest[:10])


def integration(key: bytes, name: str) -> str:
    """`int_` + 16 characters: HMAC of the name under the workspace's key."""
    # No stem holds a colon: no automation's webhook has this digest.
    digest = hmac.new(key, f"integration:{name}".encode(), hashlib.sha256).digest()
    return "int_" + base32(digest[:10])


# Every accepted webhook makes two ids: pairs halve the steps.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def _encode(value: int, length: int) -> str:
    if length == 16:
        pairs = _PAIRS
        return (
            pairs[value >> 70]
            + pairs[value >> 60 & 1023]
            + pairs[value >> 50 & 1023]
            + pairs[value >> 40 & 1023]
            + pairs[value >> 30 & 1023]
            + pairs[value >> 20 & 1023]
            + pairs[value >> 10 & 1023]
            + pairs[value & 1023]
        )
    if length % 2:
        return _encode(value << 5, length + 1)[:-1]
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(5 * length - 10, -1, -10)])
