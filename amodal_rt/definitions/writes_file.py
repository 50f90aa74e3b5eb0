"""`writes` of an automation: which writes exactly, one line each."""

from collections.abc import Mapping, Sequence
from typing import Annotated, cast

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from amodal_rt.definitions.access import endpoint_rule
from amodal_rt.definitions.shapes import FileShape, Filled, complaint, described
from amodal_rt.definitions.words import shown, type_name
from amodal_rt.domain.automation import Pin, WriteGrant

MOST_GRANTS = 200
_SOURCES = ("data", "params")


def _pinned(value: object) -> object:
    if not isinstance(value, Mapping):
        raise complaint("wrong_type", f"must be an object, not {type_name(value)}")
    pins = cast("Mapping[str, object]", value)
    for place, wanted in pins.items():
        if not all(place.split(".")):
            hint = 'keys joined by dots, as in "data.channel"'
            raise complaint("bad_pin", f"{shown(place)} is no path", hint)
        if _choices(wanted) == ():
            raise complaint("bad_pin", f"{place}: in needs a list of at least one value")
    if not pins:
        raise complaint("bad_pin", "must name at least one field", "or take the key away")
    return pins


class WriteGrantShape(FileShape):
    """One line of `writes`: calls that may be made, by endpoint or by tool."""

    connection: Annotated[Filled, described("Through which connection.")]
    endpoint: Annotated[
        Annotated[str, AfterValidator(endpoint_rule)] | None,
        described(
            "Which requests, as `METHOD /path`: `{id}` stands for one part of a path, a last "
            "`**` for any rest, `*` for any method. Letter by letter, but for these."
        ),
    ] = None
    tool: Annotated[Filled | None, described("Which MCP tools; globs allowed.")] = None
    pin: Annotated[
        Annotated[
            dict[str, object],
            BeforeValidator(_pinned),
            WithJsonSchema({"type": "object", "minProperties": 1}),
        ]
        | None,
        described(
            'What fields of the call must be, by their path: a value, or `{"in": […]}`. A path '
            "begins with `data` or `params` of a request, or is an argument of the tool."
        ),
    ] = None
    per_run: Annotated[
        Annotated[int, Field(ge=1, le=100_000)] | None,
        described("How many such calls one run may make; default as many as `limits.writes`."),
    ] = None


def _one_kind(shape: WriteGrantShape) -> WriteGrantShape:
    if shape.endpoint is not None and shape.tool is not None:
        hint = "write two lines"
        raise complaint("conflict", "endpoint and tool exclude each other", hint)
    if shape.pin and shape.endpoint is None and shape.tool is None:
        hint = "name the endpoint or the tool that has these fields"
        raise complaint("bad_pin", "pin goes with endpoint or tool, which are missing", hint)
    for place in shape.pin or () if shape.endpoint is not None else ():
        source, _, rest = place.partition(".")
        if source not in _SOURCES or not rest:
            hint = 'a path begins with "data." or "params."'
            raise complaint("bad_pin", f"{shown(place)} is no field of a request", hint)
    return shape


WritesField = Annotated[
    list[Annotated[WriteGrantShape, AfterValidator(_one_kind)]], Field(max_length=MOST_GRANTS)
]
"""`writes` in a file. An empty list allows none."""


def write_grants(shapes: Sequence[WriteGrantShape] | None) -> tuple[WriteGrant, ...] | None:
    """The lines, in the order of the file; None where the file has no such list."""
    if shapes is None:
        return None
    return tuple(
        WriteGrant(
            connection=each.connection,
            endpoint=each.endpoint,
            tool=each.tool,
            pins=tuple(
                Pin(tuple(place.split(".")), _choices(wanted))
                for place, wanted in (each.pin or {}).items()
            ),
            per_run=each.per_run,
        )
        for each in shapes
    )


def _choices(wanted: object) -> tuple[object, ...]:
    if not isinstance(wanted, Mapping):
        return (wanted,)
    fields = cast("Mapping[str, object]", wanted)
    if list(fields) != ["in"]:
        return (fields,)
    values = fields["in"]
    return tuple(cast("list[object]", values)) if isinstance(values, list) else ()
