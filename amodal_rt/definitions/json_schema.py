"""JSON Schema (draft 2020-12) that a file holds: whether it is one, and whether a value fits."""

from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import unquote

from jsonschema import Draft202012Validator, exceptions

from amodal_rt.definitions.document import Document, Loc
from amodal_rt.definitions.json_patterns import SteadyValidator, pattern_fault
from amodal_rt.definitions.words import shown
from amodal_rt.domain.problem import Problem

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LONGEST = 200
_OTHER_DIALECT = "values are judged by draft 2020-12 of JSON Schema alone"


def schema_problem(document: Document, schema: Mapping[str, object], *key: str) -> Problem | None:
    """What is wrong with the schema that stands at `key`, named from the outside in; None when it
    is one of draft 2020-12, with references to its own parts alone, and patterns that take no
    longer than their text."""
    try:
        Draft202012Validator.check_schema(schema)
    except exceptions.SchemaError as error:
        loc = (*key, *error.absolute_path)
        message = f"the schema is not JSON Schema: {error.message[:200]}"
        return document.problem("bad_schema", message, loc)
    dialect = schema.get("$schema", _DIALECT)
    if str(dialect).rstrip("#") != _DIALECT:
        loc, hint = (*key, "$schema"), f"take it away, or say {_DIALECT}"
        return document.problem("bad_schema", _OTHER_DIALECT, loc, hint=hint)
    for loc, reference in _references(schema, key):
        message = _wrong_reference(reference, schema)
        if message is not None:
            hint = 'as in "$ref": "#/$defs/x"'
            return document.problem("bad_schema", message, loc, hint=hint)
    for loc, pattern in _patterns(schema, key):
        if fault := pattern_fault(pattern):
            message = f"no text can be held against the pattern {shown(pattern)}: {fault}"
            hint = "a text is read once: write it without look-around and back-references"
            return document.problem("bad_schema", message, loc, hint=hint)
    return None


def misfit(value: object, schema: Mapping[str, object]) -> tuple[str, Loc] | None:
    """Why `value` does not fit a schema without a `schema_problem`, and where; None if it does."""
    return first_misfit(SteadyValidator(schema), value)


def first_misfit(validator: Any, value: object) -> tuple[str, Loc] | None:
    """The fault that says most of those that the validator finds, in a line, and where."""
    try:
        # The library leaves what it finds untyped.
        best = cast("Any", exceptions)
        error: exceptions.ValidationError | None = best.best_match(validator.iter_errors(value))
    except RecursionError:
        return "the schema refers to itself without end", ()
    if error is None:
        return None
    said = str(error.message)
    if len(said) > _LONGEST:
        # The value is told first, and only then what is wrong with it.
        said = f"{said[: _LONGEST // 3]}…{said[-_LONGEST // 2 :]}"
    return "".join(each if each.isprintable() else " " for each in said), tuple(error.absolute_path)


def _references(value: object, loc: Loc) -> Iterator[tuple[Loc, str]]:
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        for key in ("$ref", "$dynamicRef"):
            reference = members.get(key)
            if isinstance(reference, str):
                yield (*loc, key), reference
        items += members.items()
    elif isinstance(value, list):
        items += enumerate(cast("list[object]", value))
    for key, each in items:
        yield from _references(each, (*loc, key))


def _patterns(value: object, loc: Loc) -> Iterator[tuple[Loc, str]]:
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        if isinstance(pattern := members.get("pattern"), str):
            yield (*loc, "pattern"), pattern
        by_pattern = members.get("patternProperties")
        if isinstance(by_pattern, dict):
            for each in cast("dict[str, object]", by_pattern):
                yield (*loc, "patternProperties", each), each
        items += members.items()
    elif isinstance(value, list):
        items += enumerate(cast("list[object]", value))
    for key, each in items:
        yield from _patterns(each, (*loc, key))


def _wrong_reference(reference: str, schema: Mapping[str, object]) -> str | None:
    """Validating would fetch what lies outside, and fail at what is not there."""
    if not reference.startswith("#"):
        return "references must stay inside the schema"
    current: object = schema
    for part in reference.removeprefix("#").split("/")[1:]:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        current = _member(current, key)
        if current is None:
            return f"{shown(reference)} leads nowhere"
    return None


def _member(value: object, key: str) -> object:
    if isinstance(value, list):
        items = cast("list[object]", value)
        return items[int(key)] if key.isdecimal() and int(key) < len(items) else None
    return cast("dict[str, object]", value).get(key) if isinstance(value, dict) else None
