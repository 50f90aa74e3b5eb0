"""One file of `events/` → a type of event that others send."""

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, Field

from amodal_rt.definitions.catalogue import BUILT_IN, OWN_FAMILIES
from amodal_rt.definitions.document import Document
from amodal_rt.definitions.json_schema import misfit, schema_problem
from amodal_rt.definitions.judging import judge
from amodal_rt.definitions.shapes import FileShape, Filled, SchemaKey, complaint, described
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.definitions.words import shown
from amodal_rt.domain.event_type import EventOrigin, EventType
from amodal_rt.domain.problem import Problem

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*")
_WORDS = frozenset({"cron", "event", "manual", "webhook"})
LONGEST = 128


def _name(value: str) -> str:
    if not _NAME.fullmatch(value) or len(value) > LONGEST:
        hint = f"lower-case words parted by dots, as deploy.finished; {LONGEST} characters at most"
        raise complaint("wrong_value", f"{shown(value)} is not the name of an event", hint)
    return value


EventName = Annotated[str, AfterValidator(_name)]
"""`deploy.finished`."""


class EventTypeShape(FileShape):
    """A file of `events/`."""

    schema_: SchemaKey = None
    type: Annotated[
        EventName | None, described("What events of this type are called; default the file's stem.")
    ] = None
    description: Annotated[Filled, described("What has happened when one comes.")]
    data: Annotated[
        dict[str, object] | None,
        Field(
            validation_alias="schema", description="JSON Schema (2020-12) of its data; default any."
        ),
    ] = None
    sample: Annotated[
        object, described("Data as it may come, which fits `schema`; `test-event` can use it.")
    ] = None


Result = tuple[EventType | None, tuple[Problem, ...]]


def parse_event_type(text: bytes, *, file: str) -> Result:
    """The type, or None with at least one error; `source` is the file."""
    try:
        document = read_json(text, file)
    except SourceError as error:
        return None, (error.problem,)
    shape, problems = judge(document, EventTypeShape)
    if shape is None:
        return None, problems
    name = shape.type or PurePosixPath(file).stem
    problem = _name_problem(document, name, shape) or _data_problem(document, shape)
    if problem is not None:
        return None, (problem,)
    return EventType(
        name=name,
        origin=EventOrigin.WORKSPACE,
        source=file,
        description=shape.description,
        schema=shape.data or {},
        sample=shape.sample,
    ), ()


def _name_problem(document: Document, name: str, shape: EventTypeShape) -> Problem | None:
    loc = ("type",) if shape.type else ()
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        hint = 'rename the file, or say it in "type": lower-case words parted by dots'
        return document.problem("wrong_value", f"{shown(name)} is not a name", loc, hint=hint)
    if name in _WORDS:
        message = f"{shown(name)} is a kind of trigger, and no event"
        return document.problem("reserved_name", message, loc, hint="give it another name")
    family = name.partition(".")[0]
    if name in BUILT_IN or family in OWN_FAMILIES:
        who = f"{family}.* are events of {OWN_FAMILIES.get(family) or 'the documented platform'}"
        hint = "begin with a word of your own; nobody else may send those"
        if family not in OWN_FAMILIES:
            hint = "it needs no file: send it, and automations may wait for it"
        return document.problem("reserved_name", f"{shown(name)} is taken: {who}", loc, hint=hint)
    return None


def _data_problem(document: Document, shape: EventTypeShape) -> Problem | None:
    schema = shape.data
    if schema is None:
        return None
    problem = schema_problem(document, schema, "schema")
    if problem is not None or "sample" not in shape.model_fields_set:
        return problem
    wrong = misfit(shape.sample, schema)
    if wrong is None:
        return None
    message, loc = wrong
    return document.problem(
        "bad_sample", f"the sample does not fit the schema: {message}", ("sample", *loc)
    )
