"""Nearest words: every refusal of a name offers the one that was probably meant."""

import difflib
from collections.abc import Iterable
from functools import cache
from zoneinfo import available_timezones


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to `word`, case aside; None when none is close."""
    by_folded = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


@cache
def zones() -> frozenset[str]:
    """The IANA names that this machine knows."""
    return frozenset(available_timezones())
