"""JSON Schema over what strangers send: as `json_schema`, at a cost that no payload can raise."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, cast

from jsonschema import exceptions, validators

from amodal_rt.definitions.document import Loc
from amodal_rt.definitions.json_patterns import SteadyValidator
from amodal_rt.definitions.json_schema import first_misfit

MOST_CHECKS = 50_000
"""Keywords that are judged of one payload."""
TOO_LONG = "it takes too long to check"

_left: ContextVar[list[int]] = ContextVar("payload_schema_left")
_Check = Callable[[Any, Any, Any, Any], Iterator[exceptions.ValidationError] | None]


class _TooLongError(Exception):
    """The budget is spent."""


def payload_misfit(value: object, schema: Mapping[str, object]) -> tuple[str, Loc] | None:
    """Why `value` does not fit a schema without a `schema_problem`, and where.

    May compute for a second or two: call it off the event loop.
    """
    _left.set([MOST_CHECKS])
    try:
        return first_misfit(_bounded()(schema), value)
    except _TooLongError:
        return TOO_LONG, ()


@lru_cache(maxsize=1)
def _bounded() -> Any:
    known = cast("dict[str, _Check]", dict(SteadyValidator.VALIDATORS))
    checks = {name: _counted(check) for name, check in {**known, "uniqueItems": _unique}.items()}
    return cast("Any", validators).extend(SteadyValidator, checks)


def _counted(check: _Check) -> _Check:
    def counted(
        validator: Any, value: Any, instance: Any, schema: Any
    ) -> Iterator[exceptions.ValidationError]:
        left = _left.get()
        left[0] -= _cost(instance, schema)
        if left[0] < 0:
            raise _TooLongError
        yield from check(validator, value, instance, schema) or ()

    return counted


def _cost(instance: object, schema: Mapping[str, object]) -> int:
    """Patterns of names are held against each name."""
    patterns = schema.get("patternProperties")
    if not isinstance(patterns, dict) or not isinstance(instance, dict):
        return 1
    return 1 + len(cast("dict[str, object]", patterns)) * len(cast("dict[str, object]", instance))


def _unique(
    _validator: Any, wanted: Any, instance: Any, _schema: Any
) -> Iterator[exceptions.ValidationError]:
    """The library's own compares each with each."""
    if not wanted or not isinstance(instance, list):
        return
    items = cast("list[object]", instance)
    if len({json.dumps(_plain(each), sort_keys=True) for each in items}) < len(items):
        yield exceptions.ValidationError(f"{instance!r} has non-unique elements")


def _plain(value: object) -> object:
    """`1.0` as `1`: JSON Schema knows one kind of number."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[object]", value)]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in cast("dict[str, object]", value).items()}
    return value
