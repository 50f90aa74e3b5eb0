"""A document against a shape: the shape's value, or what is wrong and where."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic_core import ErrorDetails

from amodal_rt.definitions.document import (
    MOST_PROBLEMS,
    Document,
    Loc,
    in_file_order,
    name_of,
    too_many,
)
from amodal_rt.definitions.shapes import FileShape
from amodal_rt.definitions.words import camel, shown, snake, suggestion, type_name
from amodal_rt.domain.problem import Problem

Shape = TypeVar("Shape", bound=FileShape)

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def judge(document: Document, shape: type[Shape]) -> tuple[Shape | None, tuple[Problem, ...]]:
    """The document as `shape`; None with at least one problem when it does not fit."""
    return judge_part(document, shape, document.value, ())


def judge_part(
    document: Document, shape: type[Shape], value: object, at: Loc
) -> tuple[Shape | None, tuple[Problem, ...]]:
    """The same of the `value` that stands at `at` in the document."""
    try:
        return shape.model_validate(value), ()
    except ValidationError as error:
        errors = error.errors(include_url=False)
        found = [_problem(document, shape, each, at) for each in errors[:MOST_PROBLEMS]]
        if len(errors) > MOST_PROBLEMS:
            found.append(too_many(document.file))
        return None, in_file_order(found)


def _problem(document: Document, shape: type[FileShape], error: ErrorDetails, at: Loc) -> Problem:
    within = error["loc"][:-1] if error["loc"][-1:] == ("[key]",) else error["loc"]
    loc = (*at, *within)
    kind = error["type"]
    if kind == "extra_forbidden":
        code, message, hint = _unknown(document, shape, within, at)
        return document.problem(code, message, loc, hint=hint)
    if kind == "missing":
        name = name_of((*document.written(loc[:-1]), loc[-1]))
        hint = _description(_shape_at(shape, within[:-1]), str(loc[-1]))
        return document.problem("missing_key", f"{name} is missing", loc, hint=hint)
    code, message, hint = _words(error)
    name = document.name(loc)
    return document.problem(code, _subject(name, message), loc, hint=hint)


def _subject(name: str, message: str) -> str:
    """`title must not be empty`, but `timezone: "x" is not an IANA time zone`."""
    if not name:
        return message
    verb = message.split(" ", 1)[0] in ("must", "is", "has")
    return f"{name} {message}" if verb else f"{name}: {message}"


def _words(error: ErrorDetails) -> tuple[str, str, str | None]:
    kind, value = error["type"], error["input"]
    context: dict[str, Any] = error.get("ctx", {})
    if kind == "amodal":
        return context["code"], context["message"], context["hint"]
    if kind in _EXPECTED:
        fraction = kind.startswith("int") and isinstance(value, float)
        found = shown(value) if fraction else type_name(value)
        return "wrong_type", f"must be {_EXPECTED[kind]}, not {found}", _unquoted(kind, value)
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", '"')
        words = allowed.split('"')[1::2]
        hint = suggestion(value, words) if isinstance(value, str) else None
        if value == "running" and "active" in words:
            hint = 'the API says "running", a file says "active"'
        return "wrong_value", f"must be {allowed}, not {shown(value)}", hint
    return "wrong_value", _bound(kind, context, value), None


def _unquoted(kind: str, value: object) -> str | None:
    """What to write instead, where it is plain from the value."""
    if kind == "list_type" and isinstance(value, str):
        return f"write a list: [{shown(value)}]"
    if kind == "string_type" and isinstance(value, int | float):
        return f'write it in quotes: "{shown(value)}"'
    if not isinstance(value, str) or not value.isascii():
        return None
    numeric = value.strip().isdigit() and kind in ("int_type", "float_type")
    truth = value.lower() in ("true", "false") and kind == "bool_type"
    return f"without quotes: {value.strip().lower()[:20]}" if numeric or truth else None


def _bound(kind: str, context: dict[str, Any], value: object) -> str:
    if kind in ("too_short", "string_too_short"):
        return "must not be empty"
    if kind == "too_long":
        return f"must not have more than {context['max_length']} entries"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}, not {shown(value)}"
    for key, words in (("ge", "at least"), ("le", "at most")):
        if key in context:
            bound = context[key]
            number = f"{int(bound):,}" if bound == int(bound) else str(bound)
            return f"must be {words} {number}, not {shown(value)}"
    return "has a value that is not allowed"


def _unknown(
    document: Document, shape: type[FileShape], loc: Loc, at: Loc
) -> tuple[str, str, str | None]:
    key, owner = str(loc[-1]), _shape_at(shape, loc[:-1])
    known = _keys(owner) if owner else {}
    holder = (*at, *loc[:-1])
    where = f" in {name_of(holder)}" if holder else ""
    if camel(key) in known:
        twin = document.written((*holder, camel(key)))
        other = str(twin[-1]) if twin and twin[-1] != key else camel(key)
        message = f'"{other}" and "{key}"{where} are two spellings of one key'
        return "duplicate_key", message, f'keep "{camel(key)}"'
    return "unknown_key", f"unknown key {shown(key)}{where}", _place_for(shape, key, loc, known)


def _place_for(shape: type[FileShape], key: str, loc: Loc, known: dict[str, object]) -> str | None:
    """Where the key belongs, else the nearest key, else the keys that there are."""
    top = _keys(shape)
    if len(loc) > 1 and camel(key) in top:
        return f'"{camel(key)}" belongs at the top level'
    for owner, annotation in top.items() if len(loc) == 1 else ():
        inner = next(_shapes(annotation), None)
        if inner is not None and camel(key) in _keys(inner):
            return f'it belongs inside "{owner}"'
    few = f"known keys: {', '.join(known)}" if 0 < len(known) < 17 else None
    return suggestion(key, known) or few


def _description(shape: type[BaseModel] | None, key: str) -> str | None:
    fields = shape.model_fields if shape else {}
    field = fields.get(snake(key))
    return field.description if field else None


def _keys(shape: type[BaseModel]) -> dict[str, object]:
    """Each key with what it may hold, in the order of the documentation."""
    found: dict[str, object] = {}
    for field in shape.model_fields.values():
        alias = field.validation_alias
        key = alias.choices[0] if isinstance(alias, AliasChoices) else alias
        # `$schema` is known to those who want it, and one key is only our own.
        if isinstance(key, str) and key[0].isalpha():
            found[key] = field.annotation
    return found


def _shape_at(shape: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The shape of the object at `loc`."""
    current: object = shape
    for part in loc:
        current = next(_inner(current, part), None)
    return next(_shapes(current), None)


def _inner(annotation: object, part: str | int) -> Iterator[object]:
    for each in _alternatives(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            found = _keys(each).get(camel(str(part)))
            if found is not None:
                yield found
        elif get_origin(each) in (list, dict):
            yield get_args(each)[-1]


def _shapes(annotation: object) -> Iterator[type[BaseModel]]:
    for each in _alternatives(annotation):
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each


def _alternatives(annotation: object) -> Iterator[object]:
    """What an annotation allows: unions and `Annotated` taken apart."""
    if get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for each in cast("tuple[object, ...]", get_args(annotation)):
            yield from _alternatives(each)
    else:
        yield annotation
