"""JSON Schema whose patterns take no longer than their text is long.

Python's own expressions may need for ever, and hold up the whole process meanwhile: one careless
pattern of a file, and one text that almost fits, would stop the daemon.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from jsonschema import Draft202012Validator, exceptions, validators
from pydantic_core import SchemaError, SchemaValidator, core_schema

_Faults = Iterator[exceptions.ValidationError]


def pattern_fault(pattern: str) -> str | None:
    """Why no text is held against the pattern, in a few words; None where texts can be."""
    try:
        _compiled(pattern)
    except SchemaError as error:
        return str(error).strip().rpartition("\n")[2].strip().removeprefix("error: ")
    return None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern, of which there is no `pattern_fault`, is found anywhere in the text."""
    # Half a character is no text to the engine, and must not make all of it misfit.
    return _compiled(pattern).isinstance_python(text.encode("utf-8", "replace").decode())


def _pattern(validator: Any, wanted: str, instance: object, schema: object) -> _Faults:
    del validator, schema
    if isinstance(instance, str) and not matches(wanted, instance):
        yield exceptions.ValidationError(f"{instance!r} does not match {wanted!r}")


def _pattern_properties(
    validator: Any, wanted: Mapping[str, object], instance: object, schema: object
) -> _Faults:
    del schema
    if not isinstance(instance, dict):
        return
    for pattern, inner in wanted.items():
        for key, value in cast("dict[str, object]", instance).items():
            if matches(pattern, key):
                yield from validator.descend(value, inner, path=key, schema_path=pattern)


def _additional_properties(
    validator: Any, wanted: object, instance: object, schema: Mapping[str, Any]
) -> _Faults:
    if isinstance(instance, dict):
        members = cast("dict[str, object]", instance)
        patterns = tuple(schema.get("patternProperties", ()))
        rest = {
            key: value
            for key, value in members.items()
            if not any(matches(each, key) for each in patterns)
        }
        library = cast("Any", Draft202012Validator).VALIDATORS["additionalProperties"]
        plain = {key: value for key, value in schema.items() if key != "patternProperties"}
        yield from library(validator, wanted, rest, plain) or ()


SteadyValidator: Any = cast("Any", validators).extend(
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    },
)
"""Draft 2020-12, for schemas of whose patterns none has a `pattern_fault`."""
