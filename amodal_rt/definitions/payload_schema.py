"""JSON Schema over what strangers send: as `json_schema`, at a cost that no payload can raise."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, cast

from jsonschema import Draft202012Validator, exceptions, validators
from pydantic_core import SchemaError, SchemaValidator, core_schema

from amodal_rt.definitions.document import Loc

MOST_CHECKS = 50_000
"""Keywords that are judged of one payload."""
TOO_LONG = "it takes too long to check"

_left: ContextVar[list[int]] = ContextVar("payload_schema_left")
_Check = Callable[[Any, Any, Any, Any], Iterator[exceptions.ValidationError] | None]


class _TooLongError(Exception):
    """The budget is spent."""


def payload_schema_fault(schema: Mapping[str, object]) -> tuple[Loc, str] | None:
    """Where the schema holds what cannot be judged within bounds, and what; None if nowhere."""
    return next(_faults(schema, ()), None)


def payload_misfit(value: object, schema: Mapping[str, object]) -> tuple[str, Loc] | None:
    """Why `value` does not fit a schema without a `payload_schema_fault`, and where.

    May compute for a second or two: call it off the event loop.
    """
    _left.set([MOST_CHECKS])
    try:
        # The library leaves what it finds untyped.
        validator, best = _bounded()(schema), cast("Any", exceptions)
        error: exceptions.ValidationError | None = best.best_match(validator.iter_errors(value))
    except RecursionError:
        return "the schema refers to itself without end", ()
    except _TooLongError:
        return TOO_LONG, ()
    if error is None:
        return None
    words = "".join(each if each.isprintable() else " " for each in str(error.message)[:200])
    return words, tuple(error.absolute_path)


def _faults(value: object, loc: tuple[str | int, ...]) -> Iterator[tuple[Loc, str]]:
    if isinstance(value, list):
        for place, each in enumerate(cast("list[object]", value)):
            yield from _faults(each, (*loc, place))
    if not isinstance(value, dict):
        return
    for key, each in cast("dict[str, object]", value).items():
        if key == "pattern" and isinstance(each, str) and _matcher(each) is None:
            message = "a pattern with look-around or back references can take for ever"
            yield (*loc, key), message
        elif key == "patternProperties" and isinstance(each, dict):
            yield (*loc, key), "patternProperties is not read here: name the properties"
        else:
            yield from _faults(each, (*loc, key))


@lru_cache(maxsize=512)
def _matcher(pattern: str) -> SchemaValidator | None:
    """Rust's expressions take time in proportion to the text, whatever the pattern; Python's may
    take for ever. None for what they do not know."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError:
        return None


@lru_cache(maxsize=1)
def _bounded() -> Any:
    known = cast("dict[str, _Check]", dict(Draft202012Validator.VALIDATORS))
    own: dict[str, _Check] = {**known, "pattern": _pattern, "uniqueItems": _unique}
    checks = {name: _counted(check) for name, check in own.items()}
    return cast("Any", validators).extend(Draft202012Validator, checks)


def _counted(check: _Check) -> _Check:
    def counted(
        validator: Any, value: Any, instance: Any, schema: Any
    ) -> Iterator[exceptions.ValidationError]:
        left = _left.get()
        left[0] -= 1
        if left[0] < 0:
            raise _TooLongError
        yield from check(validator, value, instance, schema) or ()

    return counted


def _pattern(
    _validator: Any, pattern: Any, instance: Any, _schema: Any
) -> Iterator[exceptions.ValidationError]:
    if not isinstance(instance, str):
        return
    matcher = _matcher(pattern)
    if matcher is None or not matcher.isinstance_python(instance):
        yield exceptions.ValidationError(f"{instance!r} does not match {pattern!r}")


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
