"""`params`: which events, by the top-level keys of their data (deco's event triggers)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from amodal_rt.domain.filter import MISSING, Scalar, same, shown_value


class ParamTest(StrEnum):
    """How a key's value is compared."""

    EQ = "eq"
    CONTAINS = "contains"
    IN = "in"


@dataclass(frozen=True, slots=True)
class Param:
    """What is asked of the top-level `key`. `contains` looks for a text whatever its case."""

    key: str
    test: ParamTest
    values: tuple[Scalar, ...]


def all_hold(params: Sequence[Param], data: object) -> bool:
    """Whether the data is as all of them ask. Of a list in it one element is enough; what it
    holds besides is ignored."""
    if not params:
        return True
    if not isinstance(data, Mapping):
        return False
    return _first_wrong(params, cast("Mapping[str, object]", data)) is None


def mismatch(params: Sequence[Param], data: object) -> str | None:
    """`all_hold` in one line: None when they do, else the first that does not."""
    if not params:
        return None
    if not isinstance(data, Mapping):
        return "params: the data is no object"
    fields = cast("Mapping[str, object]", data)
    wrong = _first_wrong(params, fields)
    if wrong is None:
        return None
    wanted = " ".join(map(shown_value, wrong.values))
    found = shown_value(fields.get(wrong.key, MISSING))
    return f"params.{wrong.key} {wrong.test} {wanted}; it is {found}"


def _first_wrong(params: Sequence[Param], fields: Mapping[str, object]) -> Param | None:
    for param in params:
        if param.key not in fields or not _holds(param, fields[param.key]):
            return param
    return None


def _holds(param: Param, found: object) -> bool:
    elements = cast("list[object]", found) if isinstance(found, list) else [found]
    if param.test is ParamTest.CONTAINS:
        return any(_contains(each, wanted) for each in elements for wanted in param.values)
    return any(same(each, wanted) for each in elements for wanted in param.values)


def _contains(found: object, wanted: Scalar) -> bool:
    if not isinstance(found, str) or not isinstance(wanted, str):
        return False
    return wanted.casefold() in found.casefold()
