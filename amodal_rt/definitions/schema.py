"""The JSON Schemas (2020-12) of the files, made from the shapes that read them."""

from collections.abc import Iterable
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from amodal_rt.definitions.automation_file import AutomationShape
from amodal_rt.definitions.delivery_file import BY_NAME
from amodal_rt.definitions.graph import GraphShape
from amodal_rt.definitions.graph_nodes import SHAPES, words_for
from amodal_rt.definitions.settings import SettingsShape
from amodal_rt.definitions.words import snake

Schema = dict[str, Any]

_LISTED = frozenset({"model", "secret", "targets", "messages", "actors", "ownAccounts"})
_OF_LISTED = frozenset({"models", "accounts"})
"""Keys of objects whose every value may be a text instead of a list."""
_PARAMETER: Schema = {"type": ["string", "number", "boolean"]}
_FILTER: Schema = {
    "type": "object",
    "not": {"required": ["connection"]},
    "description": "A filter over the event's data.",
}
_TEXT = {
    "ScheduleShape": "A cron expression.",
    "TargetShape": "The name of a target in `amodal.json`.",
    "DeliveryShape": "The name of a target in `amodal.json`.",
    "FailureAlertShape": "The name of a target in `amodal.json`.",
}
_FIRST = (
    "$schema",
    "title",
    "name",
    "description",
    "metadata",
    "lookupKey",
    "prompt",
    "promptFile",
    "messages",
    "inputTemplate",
    "instructions",
    "workflow",
    "command",
    "profile",
    "schedule",
    "timezone",
    "trigger",
    "triggers",
    "webhookAuth",
    "conversationKey",
    "idempotencyKey",
    "coalesce",
    "when",
    "agent",
    "model",
    "temperature",
    "connections",
    "tools",
    "writeEnabled",
    "writes",
    "delivery",
    "failureAlert",
    "limits",
    "catchUp",
    "retry",
    "status",
)


def automation_schema() -> dict[str, object]:
    """Of an automation file; keys that are not built yet carry `"x-not-yet": true`."""
    schema = _schema(AutomationShape, "amodal-rt automation")
    schema["anyOf"] = [{"required": ["title"]}, {"required": ["name"]}]
    return schema


def settings_schema() -> dict[str, object]:
    """Of `amodal.json`."""
    return _schema(SettingsShape, "amodal-rt settings")


def workflow_schema() -> dict[str, object]:
    """Of a file of `workflows/`; each kind of node is a definition of its own."""
    schema: Schema = _schema(GraphShape, "amodal-rt workflow")
    definitions: dict[str, Schema] = schema.setdefault("$defs", {})
    items: list[Schema] = []
    for kind, shape in SHAPES.items():
        node: Schema = _schema(shape, "")
        definitions |= node.pop("$defs", {})
        del node["$schema"], node["title"]
        said = node["properties"]["kind"]["description"]
        node["properties"]["kind"] = {"enum": list(words_for(kind)), "description": said}
        name = f"{kind.value.capitalize()}NodeShape"
        definitions[name] = node
        items.append({"$ref": f"#/$defs/{name}"})
    schema["properties"]["nodes"]["items"] = {"anyOf": items}
    return schema


def file_schema(shape: type[BaseModel]) -> dict[str, object]:
    """Of any other file of a workspace, by the shape that reads it."""
    return _schema(shape, shape.__name__)


class _Generate(GenerateJsonSchema):
    """Without titles, which would only repeat the keys; texts name `env:` where it is read."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """As pydantic's, but a default of null says nothing that a reader needs."""
        made = super().default_schema(schema)
        if made.get("default", 0) is None:
            del made["default"]
        return made


def _schema(shape: type[BaseModel], title: str) -> dict[str, object]:
    made: Schema = shape.model_json_schema(
        by_alias=True, schema_generator=_Generate, mode="validation"
    )
    definitions: dict[str, Schema] = made.get("$defs", {})
    for each in (made, *definitions.values()):
        each.pop("title", None)
        if "properties" in each:
            each["properties"] = _both_spellings(each["properties"])
    for name, text in _TEXT.items():
        if name in definitions:
            short = {"type": "string", "minLength": 1, "description": text}
            definitions[name] = {"anyOf": [short, definitions[name]]}
    if "GateShape" in definitions:
        query = definitions["GateShape"]["properties"]["query"]["anyOf"][0]
        query["additionalProperties"] = _PARAMETER
        definitions["GateShape"] = {"anyOf": [_FILTER, definitions["GateShape"]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **made}


def _both_spellings(properties: dict[str, Schema]) -> dict[str, Schema]:
    """Keys in the order of the documentation, snake_case ones last."""
    order = {key: place for place, key in enumerate(_FIRST)}
    keys = sorted(
        (key for key in properties if key != BY_NAME),
        key=lambda key: ("x-not-yet" in properties[key], order.get(key, len(order))),
    )
    found = {key: _listed(key, properties[key]) for key in keys}
    return found | dict(_snakes(found))


def _snakes(properties: dict[str, Schema]) -> Iterable[tuple[str, Schema]]:
    for key, schema in properties.items():
        if snake(key) != key:
            yield snake(key), {"$comment": f"another spelling of {key}", **schema}


def _listed(key: str, field: Schema) -> Schema:
    if key in _OF_LISTED:
        return {**field, "additionalProperties": _or_text(field["additionalProperties"])}
    arrays = [each for each in (field, *field.get("anyOf", [])) if each.get("type") == "array"]
    return _or_text(field) if key in _LISTED and arrays else field


def _or_text(field: Schema) -> Schema:
    """A text alone means a list of one."""
    rest = {key: value for key, value in field.items() if key in ("description", "default")}
    inner = {key: value for key, value in field.items() if key not in rest}
    choices = cast("list[Schema]", inner.pop("anyOf", None) or [inner])
    return {**rest, "anyOf": [{"type": "string", "minLength": 1}, *choices]}
