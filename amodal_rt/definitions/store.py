"""One file of `stores/` → a typed store."""

import hashlib
from pathlib import PurePosixPath
from typing import Annotated, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import Field

from amodal_rt.definitions.document import Loc
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.shapes import Duration, FileShape, SchemaKey, described
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.domain.connection import Store
from amodal_rt.domain.problem import Problem


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
    away = _reference_out(shape.values, ("schema",))
    if away is not None:
        message = "references must stay inside the schema"
        return None, (
            document.problem("bad_schema", message, away, hint='as in "$ref": "#/$defs/x"'),
        )
    return Store(
        name=PurePosixPath(file).stem,
        hash=hashlib.sha256(text).hexdigest(),
        description=shape.description,
        schema=shape.values,
        ttl=shape.ttl,
    ), ()


def _reference_out(value: object, loc: Loc) -> Loc | None:
    """Where a reference leaves the document, if one does: validating would fetch it."""
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        for key in ("$ref", "$dynamicRef"):
            reference = members.get(key)
            if isinstance(reference, str) and not reference.startswith("#"):
                return (*loc, key)
        items += members.items()
    elif isinstance(value, list):
        items += enumerate(cast("list[object]", value))
    found = (_reference_out(each, (*loc, key)) for key, each in items)
    return next((each for each in found if each is not None), None)
