"""The shapes of `when` and `coalesce`."""

from collections.abc import Mapping
from typing import Annotated, cast

from pydantic import BeforeValidator, Field, WithJsonSchema

from amodal_rt.definitions.filtering import FilterField
from amodal_rt.definitions.shapes import Duration, FileShape, Filled, complaint, described
from amodal_rt.definitions.words import shown, type_name


def _as_gate(value: object) -> object:
    """A filter alone means the filter of the event's data."""
    if value is None or _reads(value):
        return value
    keys = cast("Mapping[str, object]", value).keys() if isinstance(value, Mapping) else set[str]()
    if {"endpoint", "tool"} & keys and keys <= _READ:
        message = "a read needs the connection that it goes through"
        raise complaint("missing_key", message, 'add "connection"')
    return {"filter": cast("object", value)}


_READ = {"endpoint", "query", "tool", "arguments", "path", "changed", "filter"}


def _reads(value: object) -> bool:
    return isinstance(value, Mapping) and "connection" in value


def _as_path(value: object) -> object:
    parts = value.split(".") if isinstance(value, str) else value
    if not isinstance(parts, list) or not parts:
        hint = 'keys joined by dots, as in "data.id", or a list of them'
        raise complaint("bad_path", f"must be a path, not {type_name(value)}", hint)
    keys = cast("list[object]", parts)
    if not all(isinstance(each, str) and each for each in keys):
        raise complaint("bad_path", f"{shown(value)} is no path", 'as in "data.id"')
    return tuple(cast("list[str]", keys))


def _as_query(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    fields = cast("Mapping[str, object]", value)
    return {name: _parameter(name, each) for name, each in fields.items()}


def _parameter(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise complaint("wrong_type", f"{name} must be a text or a number", "it stands in the URL")
    return str(value)


class GateShape(FileShape):
    """A read through a granted connection, before a model is paid; or a filter alone, over the
    event's data."""

    connection: Annotated[Filled | None, described("The connection that is read through.")] = None
    endpoint: Annotated[
        Filled | None, described("Of a REST connection: the path that is read with GET.")
    ] = None
    query: Annotated[
        dict[str, str] | None,
        BeforeValidator(_as_query),
        described("Query parameters of the endpoint."),
    ] = None
    tool: Annotated[
        Filled | None, described("Of an MCP connection: a tool that `access.json` calls a read.")
    ] = None
    arguments: Annotated[dict[str, object] | None, described("Arguments of the tool.")] = None
    path: Annotated[
        tuple[str, ...],
        BeforeValidator(_as_path),
        WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}}),
        described("The place in the answer that counts, as in `data.id`; default all of it."),
    ] = ()
    changed: Annotated[
        bool, described("Open only where it differs from what the last completed run saw.")
    ] = False
    filter: Annotated[FilterField, described("Open only where what was read fits.")] = None


GateField = Annotated[GateShape | None, BeforeValidator(_as_gate)]
"""`when` in a file."""


class CoalesceShape(FileShape):
    """How starts that follow each other closely become one run: the newest of them."""

    key: Annotated[Filled, described("Liquid over the event: what belongs together.")]
    window: Annotated[Duration, described('How long to wait for the next one, as in "30s".')]
    max_wait: Annotated[
        Duration | None,
        Field(description="How long the first one waits at most; default ten windows."),
    ] = None
