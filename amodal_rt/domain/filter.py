"""A filter: which data it lets through, and which of its rules decided.

The algebra is Mistle's `payloadFilter`: paths are walked through own keys and list places alone,
`eq` and `neq` compare as JSON does (`1` is `1.0`, `true` is not `1`), texts are compared with
their case, and a place that is missing is unequal to everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

Path = tuple[str, ...]
"""Keys from the outside in; a number also finds its place in a list."""
Scalar = str | int | float | bool | None


class _Missing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = _Missing()
"""What stands at a path that leads nowhere; `null` is something."""


class Test(StrEnum):
    """What a single rule asks of the value at its path."""

    __test__ = False

    EQ = "eq"
    NEQ = "neq"
    IN = "in"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    EXISTS = "exists"
    NOT_EXISTS = "not_exists"


@dataclass(frozen=True, slots=True)
class Rule:
    """One question about the value at `path`. `values` holds what it is compared with: one value
    for most, several for `in`, none for the two of existence."""

    path: Path
    test: Test
    values: tuple[Scalar, ...] = ()


@dataclass(frozen=True, slots=True)
class All:
    """Every one of `filters`."""

    filters: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Any:
    """At least one of `filters`."""

    filters: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    filter: "Filter"


Filter = Rule | All | Any | Not


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the data passes, and `rule`, in one line for people, which rule decided."""

    passes: bool
    rule: str


def judge(filter: Filter, data: object) -> Verdict:
    """Total: any data of JSON gives a verdict."""
    match filter:
        case Rule():
            return _judge_rule(filter, data)
        case Not():
            inner = judge(filter.filter, data)
            return Verdict(not inner.passes, f"not ({inner.rule})")
        case All():
            verdict = Verdict(True, "and of nothing")
            for each in filter.filters:
                verdict = judge(each, data)
                if not verdict.passes:
                    return verdict
            return verdict if len(filter.filters) == 1 else _together(filter.filters, data)
        case Any():
            verdict = Verdict(False, "or of nothing")
            for each in filter.filters:
                verdict = judge(each, data)
                if verdict.passes:
                    return verdict
            return verdict if len(filter.filters) == 1 else _none_of(filter.filters, data)


def passes(filter: Filter, data: object) -> bool:
    """`judge` without the words: what is asked for every event of every automation."""
    match filter:
        case Rule():
            return _holds(filter, value_at(data, filter.path))
        case Not():
            return not passes(filter.filter, data)
        case All():
            return all(passes(each, data) for each in filter.filters)
        case Any():
            return any(passes(each, data) for each in filter.filters)


def value_at(data: object, path: Path) -> object:
    """What stands at `path`, or `MISSING`."""
    for key in path:
        if isinstance(data, Mapping):
            data = cast("Mapping[str, object]", data).get(key, MISSING)
        elif isinstance(data, Sequence) and not isinstance(data, str):
            place = int(key) if key.isascii() and key.isdigit() and len(key) < 10 else -1
            # "01" is a key, and only of an object.
            found = str(place) == key and 0 <= place < len(cast("Sequence[object]", data))
            data = cast("Sequence[object]", data)[place] if found else MISSING
        else:
            return MISSING
        if data is MISSING:
            return MISSING
    return data


def same(one: object, other: object) -> bool:
    """Whether two values of JSON are equal; no two lists or objects are, for a rule compares
    with scalars alone."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    if isinstance(one, str) and isinstance(other, str):
        return one == other
    return one is None and other is None


def shown_path(path: Path) -> str:
    """The path as the short form of a filter spells it."""
    return ".".join(path)


def _judge_rule(rule: Rule, data: object) -> Verdict:
    found = value_at(data, rule.path)
    wanted = " ".join(shown_value(each) for each in rule.values)
    said = f"{shown_path(rule.path)} {rule.test}{' ' if wanted else ''}{wanted}"
    return Verdict(_holds(rule, found), f"{said}; it is {shown_value(found)}")


def _holds(rule: Rule, found: object) -> bool:
    match rule.test:
        case Test.EXISTS:
            return found is not MISSING
        case Test.NOT_EXISTS:
            return found is MISSING
        case Test.EQ | Test.IN:
            return any(same(found, each) for each in rule.values)
        case Test.NEQ:
            return not any(same(found, each) for each in rule.values)
        case Test.CONTAINS | Test.STARTS_WITH | Test.ENDS_WITH:
            return any(_fits(rule.test, found, each) for each in rule.values)


def _fits(test: Test, found: object, wanted: Scalar) -> bool:
    if not isinstance(found, str) or not isinstance(wanted, str):
        return False
    if test is Test.CONTAINS:
        return wanted in found
    return found.startswith(wanted) if test is Test.STARTS_WITH else found.endswith(wanted)


def _together(filters: Sequence[Filter], data: object) -> Verdict:
    return Verdict(True, " and ".join(judge(each, data).rule for each in filters))


def _none_of(filters: Sequence[Filter], data: object) -> Verdict:
    return Verdict(False, "none of: " + ", ".join(judge(each, data).rule for each in filters))


def shown_value(value: object) -> str:
    """A value in a line: as JSON where it is a scalar, cut."""
    match value:
        case _Missing():
            return "not there"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value[:60]}…"' if len(value) > 60 else f'"{value}"'
        case int() | float():
            return str(value)
        case Mapping():
            return "an object"
        case _:
            return "a list"
