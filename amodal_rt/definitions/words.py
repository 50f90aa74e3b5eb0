"""Words of files: two spellings of one key, the nearest known word, values shown to people."""

import difflib
from collections.abc import Iterable
from functools import cache, lru_cache
from zoneinfo import available_timezones

_LONGEST = 60
WRONG_WHERE = "amodal-rt validate says what is wrong with it, and where"
"""The hint beside a name whose own file is invalid."""
_OTHER_WORDS = {"title": ("name",), "workflow": ("config", "configId")}
"""Keys of an automation's file that may be called otherwise."""


@lru_cache(maxsize=1024)
def snake(key: str) -> str:
    """`writeEnabled` → `write_enabled`."""
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in key)


@lru_cache(maxsize=1024)
def camel(key: str) -> str:
    """`write_enabled` → `writeEnabled`; what is no snake_case stays."""
    first, *rest = key.split("_")
    return first + "".join(each[:1].upper() + each[1:] for each in rest)


def spellings(key: str) -> tuple[str, ...]:
    """The keys that say in an automation's file what `key` (camelCase) says, `key` first."""
    words = (key, *_OTHER_WORDS.get(key, ()))
    return tuple(dict.fromkeys(each for word in words for each in (word, snake(word))))


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known word closest to `word`, case aside; None when none is close."""
    by_folded = {each.casefold(): each for each in known}
    folded = word.casefold()[: 4 * _LONGEST]
    found = difflib.get_close_matches(folded, by_folded, n=1, cutoff=cutoff)
    return by_folded[found[0]] if found else None


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """`did you mean "x"?`, or None when nothing is near."""
    found = nearest(word, known)
    return f'did you mean "{found}"?' if found else None


def nearest_zone(word: str) -> str | None:
    """The IANA zone that was probably meant; a city alone finds its zone."""
    known = zones()
    cities = {each.rpartition("/")[2]: each for each in sorted(known, reverse=True)}
    city = nearest(word.rpartition("/")[2].replace(" ", "_"), cities, cutoff=0.8)
    return nearest(word, known) or (cities[city] if city else None)


def shown(value: object) -> str:
    """A value of a file in a message: texts in quotes, long ones cut, all on one line."""
    if isinstance(value, str):
        text = "".join(each if each.isprintable() else "�" for each in value[: 2 * _LONGEST])
        return f'"{_cut(text)}"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return _cut(repr(value))
    return type_name(value)


def type_name(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a number"


@cache
def zones() -> frozenset[str]:
    """The IANA names that this machine knows."""
    return frozenset(available_timezones())


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def is_one_slip(one: str, other: str) -> bool:
    """Whether all the difference is one letter more, less or another, or two that are swapped."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = _equal_start(one, other)
    end = _equal_start(one[start:][::-1], other[start:][::-1])
    left, right = one[start : len(one) - end], other[start : len(other) - end]
    return max(len(left), len(right)) <= 1 or (len(left) == 2 and left == right[::-1])


def _equal_start(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
