"""A request's headers, and which of them may be kept."""

import functools
import re
from collections.abc import Collection, Mapping, Sequence

# Named singly: what tells one delivery from another and who sent it, never a proof.
_KEPT = frozenset(
    {
        "content-type",
        "date",
        "idempotency-key",
        "user-agent",
        "webhook-id",
        "webhook-timestamp",
        "x-github-hook-id",
        "x-request-id",
        "x-webhook-id",
    }
)
_KEPT_SHAPE = re.compile(r"x-(?:[a-z0-9]+-)*(?:event|delivery|topic|action)(?:-[a-z0-9]+)*")
_SECRET = re.compile(r"sig|token|auth|cookie|secret|hmac|passw|credential|session|api-?key")
_LONGEST = 1024
_MOST = 32


@functools.lru_cache(maxsize=1024)
def _may_keep(name: str) -> bool:
    if name in _KEPT:
        return True
    return bool(_KEPT_SHAPE.fullmatch(name)) and not _SECRET.search(name)


def is_secret(name: str) -> bool:
    """Whether a header or attribute of that name, in lower case, may hold a proof."""
    return _SECRET.search(name) is not None


class Headers:
    """Headers by lower-case name, repeated ones kept apart."""

    __slots__ = ("_values",)

    def __init__(self, raw: Sequence[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in raw:
            self._values.setdefault(name.lower(), []).append(value)

    def all(self, name: str) -> list[str]:
        """Every value of `name`, in wire order."""
        return self._values.get(name.lower(), [])

    def first(self, name: str) -> str | None:
        """The first value of `name`, which is given in lower case, or None."""
        values = self._values.get(name)
        return values[0] if values else None

    def beginning(self, start: str) -> Mapping[str, list[str]]:
        """All values of the headers whose names begin with `start`, which is in lower case."""
        return {name: each for name, each in self._values.items() if name.startswith(start)}

    def compressed(self) -> bool:
        """Whether the body is not the bytes that were signed but a coding of them."""
        values = self._values.get("content-encoding")
        if not values:
            return False
        return any(value.strip().lower() not in ("", "identity") for value in values)

    def kept(self, *, also_secret: Collection[str]) -> Mapping[str, str]:
        """What may be stored: an allow-list, without `also_secret` (lower case), cut in length
        and number."""
        kept: dict[str, str] = {}
        for name, values in self._values.items():
            if name in also_secret or len(kept) == _MOST:
                continue
            if _may_keep(name):
                # Bytes outside UTF-8 arrive as lone surrogates, which no ledger can encode.
                clean = values[0].encode("utf-8", "replace").decode("utf-8")
                kept[name] = clean[:_LONGEST]
        return kept
