"""The shapes of `when` and `coalesce`."""

from collections.abc import Mapping
from typing import Annotated, cast

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from amodal_rt.definitions.filtering import TESTS, FilterField
from amodal_rt.definitions.shapes import (
    Duration,
    FileShape,
    Filled,
    PlainText,
    complaint,
    described,
    plain_text,
)
from amodal_rt.definitions.words import nearest, shown, type_name


def _as_gate(value: object) -> object:
    """A filter alone means the filter of the event's data."""
    if value is None or _reads(value):
        return value
    if isinstance(value, Mapping):
        _refuse_slip(cast("Mapping[str, object]", value))
    return {"filter": cast("object", value)}


_READ = {"endpoint", "query", "tool", "arguments", "path", "changed", "filter"}


def _reads(value: object) -> bool:
    return isinstance(value, Mapping) and "connection" in value


def _refuse_slip(fields: Mapping[str, object]) -> None:
    """Raise a complaint about a read that lacks its connection. As a filter it would look for
    keys of these names in the event's data, and could keep the gate shut for ever."""
    place = next((name for name in ("endpoint", "tool") if isinstance(fields.get(name), str)), None)
    others = fields.keys() - _READ
    near = {name for name in others if nearest(name, ("connection",), cutoff=0.9)}
    if others - near or (near and place is None):
        return
    if near:
        raise complaint("unknown_key", f"{min(near)} is no key of it", 'did you mean "connection"?')
    key = place or ("changed" if fields.get("changed") is True else _holding_names(fields))
    if key is None:
        return
    hint = f'to filter by a key called {key}, write {{"op": "eq", "path": ["{key}"], "value": …}}'
    if key == "filter":
        hint = "a filter of the event's data stands alone, with no filter around it"
    message = f"{key} belongs to a read, which needs the connection that it goes through"
    raise complaint("missing_key", message, f'add "connection"; {hint}')


def _holding_names(fields: Mapping[str, object]) -> str | None:
    """The key that holds names of somebody's own, where a filter would have comparisons."""
    for name in ("filter", "query", "arguments"):
        inner = fields.get(name)
        if isinstance(inner, Mapping) and not cast("Mapping[str, object]", inner).keys() <= TESTS:
            return name
    return None


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


def _as_argument(value: object) -> object:
    return plain_text(value) if isinstance(value, str) else value


Argument = Annotated[object, AfterValidator(_as_argument)]
"""Whatever a tool takes, but for a text that looks like a variable and would be sent as it is."""


PathField = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_path),
    WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}}),
]
"""A place in a document of JSON: `data.id`, or its keys in a list."""


class ReadShape(FileShape):
    """A read through a granted connection."""

    connection: Annotated[Filled | None, described("The connection that is read through.")] = None
    endpoint: Annotated[
        Filled | None, described("Of a REST connection: the path that is read with GET.")
    ] = None
    query: Annotated[
        dict[str, PlainText] | None,
        BeforeValidator(_as_query),
        described("Query parameters of the endpoint."),
    ] = None
    tool: Annotated[
        Filled | None, described("Of an MCP connection: a tool that `access.json` calls a read.")
    ] = None
    arguments: Annotated[dict[str, Argument] | None, described("Arguments of the tool.")] = None
    path: Annotated[
        PathField,
        described("The place in the answer that counts, as in `data.id`; default all of it."),
    ] = ()


class GateShape(ReadShape):
    """A read through a granted connection, before a model is paid; or a filter alone, over the
    event's data."""

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
