"""The JSON Schemas (2020-12) of the files, made from the shapes that read them."""

from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from amodal_rt.definitions.automation_file import AutomationShape
from amodal_rt.definitions.settings import SettingsShape
from amodal_rt.definitions.source import snake

_LISTED = frozenset({"model", "secret", "targets"})


def automation_schema() -> dict[str, object]:
    """Of an automation file; keys that are not built yet carry `"x-not-yet": true`."""
    schema = _schema(AutomationShape, "amodal-rt automation")
    schema["anyOf"] = [{"required": ["title"]}, {"required": ["name"]}]
    return schema


def settings_schema() -> dict[str, object]:
    """Of `amodal.json`."""
    return _schema(SettingsShape, "amodal-rt settings")


class _Generate(GenerateJsonSchema):
    """What files may say is a little wider than what the shapes hold after reading."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def _schema(shape: type[BaseModel], title: str) -> dict[str, object]:
    made: JsonSchemaValue = shape.model_json_schema(
        by_alias=True, schema_generator=_Generate, mode="validation"
    )
    definitions = cast("dict[str, dict[str, Any]]", made.get("$defs", {}))
    for each in (made, *definitions.values()):
        _widen(each)
    shorthands = {
        "ScheduleShape": {"type": "string", "description": "A cron expression."},
        "TargetShape": {"type": "string", "description": "The name of a target in amodal.json."},
        "DeliveryShape": {"type": "string", "description": "The name of a target."},
        "FailureAlertShape": {"type": "string", "description": "The name of a target."},
    }
    for name, short in shorthands.items():
        if name in definitions:
            definitions[name] = {"anyOf": [short, definitions[name]]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": title,
    }


def _widen(schema: dict[str, Any]) -> None:
    properties: dict[str, dict[str, Any]] = schema.get("properties", {})
    properties.pop("\0ref", None)
    for name in list(properties):
        field = properties[name]
        if name in _LISTED or name == "messages":
            properties[name] = _or_text(field)
        other = snake(name)
        if other != name:
            properties[other] = {"$comment": f"another spelling of {name}", **properties[name]}


def _or_text(field: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in field.items() if key in ("description", "default")}
    inner = {key: value for key, value in field.items() if key not in rest}
    choices = inner.pop("anyOf", None) or [inner]
    return {**rest, "anyOf": [{"type": "string"}, *choices]}
