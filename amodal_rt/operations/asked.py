"""What callers ask with: names, counts and instants, checked once for every door."""

import difflib
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from amodal_rt.clock import parse_iso
from amodal_rt.domain.run import RunStatus
from amodal_rt.errors import InvalidError, NotFoundError

LONGEST_LIST = 1000
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_Choice = TypeVar("_Choice", bound=StrEnum)


def limit(text: str | int | None, *, default: int = 50) -> int:
    """How many rows: 1 to 1,000. Raises InvalidError (`bad_limit`)."""
    if text is None or text == "":
        return default
    try:
        count = int(text)
    except ValueError:
        count = 0
    if not 1 <= count <= LONGEST_LIST:
        raise InvalidError(f"limit {text!r} is not 1 to {LONGEST_LIST}", code="bad_limit")
    return count


def choice(kind: type[_Choice], text: str | None, *, what: str) -> _Choice | None:
    """A word of `kind`, or None when nothing was asked. Raises InvalidError (`bad_<what>`)."""
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        known = ", ".join(each.value for each in kind)
        raise InvalidError(
            f"{what} {text!r} is none of: {known}", code=f"bad_{what.replace(' ', '_')}"
        ) from None


def run_status(text: str | None) -> RunStatus | None:
    """A run's status, or None."""
    return choice(RunStatus, text, what="status")


def instant(text: str | None, *, now: datetime) -> datetime | None:
    """An ISO instant with its zone, or `24h` for that long ago.

    Raises InvalidError (`bad_instant`).
    """
    if not text:
        return None
    unit = _UNITS.get(text[-1:])
    try:
        if unit and text[:-1].isdigit():
            return now - timedelta(**{unit: int(text[:-1])})
        return parse_iso(text)
    except (ValueError, OverflowError):
        raise InvalidError(
            f"{text!r} is no instant",
            code="bad_instant",
            hint='write it like "2026-03-02T09:00:00Z", or "24h" for a day ago',
        ) from None


def unknown(what: str, name: str, known: Iterable[str]) -> NotFoundError:
    """`name` is not there; the hint is the nearest one that is."""
    nearest = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else None
    return NotFoundError(f"no {what} is called {name!r}", code=f"{what}_not_found", hint=hint)


def missing(what: str, id: str) -> NotFoundError:
    """No such row in the ledger."""
    return NotFoundError(f"no {what} {id}", code=f"{what}_not_found")
