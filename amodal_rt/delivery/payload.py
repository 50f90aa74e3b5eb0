"""The documents that targets receive (specification §7)."""

import json
import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

KEPT_FOR = timedelta(hours=24)
"""How long a message is tried before it is given up: a stale digest is worse than none."""
RESULT_LIMIT = 16_384
"""Bytes of UTF-8 that `result` may have, the elision mark included."""
_DEEPEST = 100

_FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Result:
    """A run's text as it is delivered, and whether something was left out."""

    text: str
    truncated: bool


def cut_result(text: str | None, limit: int = RESULT_LIMIT) -> Result:
    """At most `limit` bytes: three quarters from the beginning, one from the end.

    Cut between characters; the mark in the middle says how many bytes are missing. What is
    no valid Unicode (lone surrogates) becomes `?`.
    """
    raw = (text or "").encode("utf-8", "replace")
    if len(raw) <= limit:
        return Result(raw.decode(), truncated=False)
    # The mark's own length depends on the number in it: reserve for the longest.
    room = limit - len(_mark(len(raw)).encode())
    head, tail = raw[: room * 3 // 4], raw[len(raw) - (room - room * 3 // 4) :]
    first = head.decode("utf-8", "ignore")
    # From the end, half a character stands in front: continuation bytes are 0b10xxxxxx.
    last = tail.lstrip(bytes(range(0x80, 0xC0))).decode("utf-8", "ignore")
    missing = len(raw) - len(first.encode()) - len(last.encode())
    return Result(first + _mark(missing) + last, truncated=True)


def cut_to(text: str, units: int) -> str:
    """At most `units` of UTF-16, which is how chat programs count; what is cut ends in `…`."""
    raw = text.encode("utf-16-le", "replace")
    if len(raw) <= units * 2:
        return text
    return raw[: units * 2 - 2].decode("utf-16-le", "ignore") + "…"


def parse_data(text: str | None) -> object:
    """The object or list that the whole text is, bare or as one fenced block; else None."""
    if not text:
        return None
    fenced = _FENCED.fullmatch(text)
    try:
        value: object = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None
    return plain_data(value)


def plain_data(value: object) -> object:
    """`value` when it is an object or a list that every JSON reader can take, else None.

    `NaN` and `Infinity` are not JSON, and what is nested deeper than 100 breaks readers.
    """
    level: list[object] = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEEPEST):
        if not level:
            break
        inner: list[object] = []
        for each in level:
            if isinstance(each, dict):
                inner += cast("dict[str, object]", each).values()
            elif isinstance(each, list):
                inner += cast("list[object]", each)
            elif isinstance(each, float) and not math.isfinite(each):
                return None
        level = inner
    return None if level or not isinstance(value, dict | list) else cast("object", value)


def _mark(missing: int) -> str:
    return f"\n\n[… {missing} bytes left out …]\n\n"
