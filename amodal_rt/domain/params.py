"""`params`: which events, by the top-level keys of their data (deco's event triggers)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from amodal_rt.domain.filter import Scalar, same


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


def mismatch(params: Sequence[Param], data: object) -> str | None:
    """None when all hold, else the first that does not, in one line. Of a list in the data one
    element is enough; what the data holds besides is ignored."""
    if not params:
        return None
    if not isinstance(data, Mapping):
        return "params: the data is no object"
    fields = cast("Mapping[str, object]", data)
    for param in params:
        if param.key not in fields or not _holds(param, fields[param.key]):
            return f"params.{param.key} {param.test}"
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
