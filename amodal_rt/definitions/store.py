"""One file of `stores/` → a typed store."""

import hashlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, cast
from urllib.parse import unquote

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import Field

from amodal_rt.definitions.document import Loc
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.shapes import Duration, FileShape, SchemaKey, described
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.definitions.words import shown
from amodal_rt.domain.connection import Store
from amodal_rt.domain.problem import Problem

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OTHER_DIALECT = "values are judged by draft 2020-12 of JSON Schema alone"


class StoreShape(FileShape):
    """A store file."""

    schema_: SchemaKey = None
    description: Annotated[str | None, described("What it holds, for people and agents.")] = None
    values: Annotated[
        dict[str, object],
        Field(validation_alias="schema", description="JSON Schema (2020-12) of each value."),
    ]
    ttl: Annotated[Duration | None, described("How long a value is kept; default for ever.")] = None


def parse_store(text: bytes, *, file: str) -> tuple[Store | None, tuple[Problem, ...]]:
    """The store, or None with at least one error; `schema` must be JSON Schema 2020-12."""
    try:
        document = read_json(text, file)
    except SourceError as error:
        return None, (error.problem,)
    shape, problems = judge(document, StoreShape)
    if shape is None:
        return None, problems
    try:
        Draft202012Validator.check_schema(shape.values)
    except SchemaError as error:
        loc = ("schema", *error.absolute_path)
        message = f"the schema is not JSON Schema: {error.message[:200]}"
        return None, (document.problem("bad_schema", message, loc),)
    dialect = shape.values.get("$schema", _DIALECT)
    if str(dialect).rstrip("#") != _DIALECT:
        loc, hint = ("schema", "$schema"), f"take it away, or say {_DIALECT}"
        return None, (document.problem("bad_schema", _OTHER_DIALECT, loc, hint=hint),)
    for loc, reference in _references(shape.values, ("schema",)):
        message = _wrong_reference(reference, shape.values)
        if message is not None:
            hint = 'as in "$ref": "#/$defs/x"'
            return None, (document.problem("bad_schema", message, loc, hint=hint),)
    return Store(
        name=PurePosixPath(file).stem,
        hash=hashlib.sha256(text).hexdigest(),
        description=shape.description,
        schema=shape.values,
        ttl=shape.ttl,
    ), ()


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


def _wrong_reference(reference: str, schema: dict[str, object]) -> str | None:
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
