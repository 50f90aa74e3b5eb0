"""One file of `stores/` → a typed store."""

import hashlib
from pathlib import PurePosixPath
from typing import Annotated

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import Field

from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.shapes import Duration, FileShape
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.domain.connection import Store
from amodal_rt.domain.problem import Problem


class StoreShape(FileShape):
    """A store file."""

    schema_ref: Annotated[str | None, Field(validation_alias="$schema")] = None
    description: str | None = None
    schema_: Annotated[dict[str, object], Field(validation_alias="schema")]
    ttl: Duration | None = None


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
        Draft202012Validator.check_schema(shape.schema_)
    except SchemaError as error:
        loc = ("schema", *error.absolute_path)
        message = f"the schema is not JSON Schema: {error.message}"
        return None, (document.problem("bad_schema", message, loc),)
    if _remote(shape.schema_):
        message = "references must stay inside the schema"
        return None, (document.problem("bad_schema", message, ("schema",), hint='"$ref": "#/…"'),)
    return Store(
        name=PurePosixPath(file).stem,
        hash=hashlib.sha256(text).hexdigest(),
        description=shape.description,
        schema=shape.schema_,
        ttl=shape.ttl,
    ), ()


def _remote(value: object) -> bool:
    """Whether any reference leaves the document: validating would fetch it."""
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            return True
        return any(_remote(each) for each in value.values())
    return isinstance(value, list) and any(_remote(each) for each in value)
