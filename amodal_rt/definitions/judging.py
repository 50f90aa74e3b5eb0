"""A document against a shape: the shape's value, or what is wrong and where."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from amodal_rt.definitions.shapes import FileShape, suggestion
from amodal_rt.definitions.source import Document, snake, type_name
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
    try:
        return shape.model_validate(document.value), ()
    except ValidationError as error:
        found = [_problem(document, shape, each) for each in error.errors(include_url=False)]
        return None, tuple(sorted(found, key=lambda each: (each.line or 0, each.column or 0)))


def _problem(document: Document, shape: type[FileShape], error: ErrorDetails) -> Problem:
    loc = error["loc"]
    code, message, hint = _words(shape, error)
    if code in ("not_yet", "unknown_key", "duplicate_key"):
        return document.problem(code, message, loc, hint=hint)
    shown = _name(loc)
    return document.problem(code, f"{shown} {message}" if shown else message, loc, hint=hint)


def _words(shape: type[FileShape], error: ErrorDetails) -> tuple[str, str, str | None]:
    kind, loc, value = error["type"], error["loc"], error["input"]
    context: dict[str, Any] = error.get("ctx", {})
    if kind == "amodal":
        message = context["message"]
        if context["code"] == "not_yet":
            message = f"{_name(loc)} is not built yet"
        return context["code"], message, context["hint"]
    if kind == "extra_forbidden":
        return _unknown(shape, loc)
    if kind == "missing":
        return "missing_key", "is missing", None
    if kind in _EXPECTED:
        return "wrong_type", f"must be {_EXPECTED[kind]}, not {type_name(value)}", None
    if kind == "literal_error":
        allowed = str(context["expected"]).replace("'", '"')
        found = suggestion(str(value), _quoted(allowed)) if isinstance(value, str) else None
        return "wrong_value", f"must be {allowed}, not {_shown(value)}", found
    return "wrong_value", _bound(kind, context, value), None


def _quoted(allowed: str) -> list[str]:
    return allowed.split('"')[1::2]


def _bound(kind: str, context: dict[str, Any], value: object) -> str:
    if kind in ("too_short", "string_too_short"):
        return "must not be empty"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}, not {_shown(value)}"
    for key, words in (("ge", "at least"), ("le", "at most"), ("gt", "more than")):
        if key in context:
            return f"must be {words} {context[key]}, not {_shown(value)}"
    return "has a value that is not allowed"


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= 60 else text[:57] + "…"


def _unknown(shape: type[FileShape], loc: Sequence[str | int]) -> tuple[str, str, str | None]:
    key = str(loc[-1])
    owner = _at(shape, loc[:-1])
    known = _keys(owner) if owner else []
    where = f" in {_name(loc[:-1])}" if len(loc) > 1 else ""
    if to_camel(snake(key)) in known or key in known:
        message = f'"{key}"{where} stands twice, in two spellings'
        return "duplicate_key", message, "keep one of them"
    hint = suggestion(key, known) or (
        f"known keys: {', '.join(known)}" if len(known) < 12 else None
    )
    return "unknown_key", f'unknown key "{key}"{where}', hint


def _keys(shape: type[BaseModel]) -> list[str]:
    hidden = {"ref", "schema_"}
    return [to_camel(name) for name in shape.model_fields if name not in hidden]


def _at(shape: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel] | None:
    """The shape of the object at `loc`."""
    current: type[BaseModel] | None = shape
    for part in loc:
        if isinstance(part, int) or current is None:
            continue
        field = next(
            (each for name, each in current.model_fields.items() if part in (name, to_camel(name))),
            None,
        )
        current = next(_models(field.annotation), None) if field else None
    return current


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _models(get_args(annotation)[0])
    else:
        for each in cast("tuple[object, ...]", get_args(annotation)):
            yield from _models(each)


def _name(loc: Sequence[str | int]) -> str:
    """`delivery.targets[0].url`, as people point at a key."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text
