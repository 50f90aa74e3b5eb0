"""One file of `stores/` → a typed store."""

import hashlib
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field

from amodal_rt.definitions.json_schema import schema_problem
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
    problem = schema_problem(document, shape.values, "schema")
    if problem is not None:
        return None, (problem,)
    return Store(
        name=PurePosixPath(file).stem,
        hash=hashlib.sha256(text).hexdigest(),
        description=shape.description,
        schema=shape.values,
        ttl=shape.ttl,
    ), ()
