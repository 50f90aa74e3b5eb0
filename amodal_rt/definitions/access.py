"""`access.json` of a connection → what its owner says about endpoints and tools."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from amodal_rt.definitions.shapes import (
    FileShape,
    Filled,
    Listed,
    SchemaKey,
    complaint,
    described,
)
from amodal_rt.definitions.words import shown
from amodal_rt.domain.connection import Access, AccessRule, Confirm, Intent, Threshold

_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "*")
_PLACEHOLDER = re.compile(r"\{[^{}]+\}")


def _confirm(value: object) -> object:
    return "approve" if value is True else None if value is False else value


def _reach(value: str) -> str:
    if not value.strip("*.@:/ "):
        raise complaint(
            "bad_reach", f"{shown(value)} covers everything", "name a host or a domain, as in *@a.b"
        )
    return value


class RuleShape(FileShape):
    """What `access.json` says of one endpoint or tool."""

    intent: Annotated[
        Literal["read", "write"] | None, described("Whether calls change anything.")
    ] = None
    confirm: Annotated[
        Literal["approve", "review", "never"] | None,
        BeforeValidator(_confirm),
        described("What a write needs besides `writeEnabled`; `never` refuses for good."),
    ] = None
    above: Annotated[
        Annotated[dict[str, float], Field(min_length=1)] | None,
        described(
            "`confirm` holds only above these numbers, by the path of a field: `data.amount`, "
            "`params.limit`, or an argument of the tool. What is no number, or is said twice, "
            "counts as above."
        ),
    ] = None
    reason: Annotated[str | None, described("Why, shown where a call is refused.")] = None
    external: Annotated[
        bool | None,
        described("Whether strangers may have written what it returns; default the connection's."),
    ] = None
    reach: Annotated[
        list[Annotated[Filled, AfterValidator(_reach)]],
        Listed,
        Field(
            default_factory=list[str],
            description="Hosts, recipients and accounts that a tainted run may name in it, beside "
            "those that stand in files: `*@acme.example`, `*.acme.example`, `https://a.example/*`.",
        ),
    ]


def endpoint_rule(value: str) -> str:
    """A pattern of requests as files spell it. Raises a complaint (`bad_endpoint`)."""
    method, _, path = value.partition(" ")
    if method.upper() not in _METHODS or not path.startswith("/"):
        raise complaint(
            "bad_endpoint", f"{shown(value)} is not METHOD /path", 'as in "POST /search"'
        )
    if "?" in path or "#" in path:
        raise complaint(
            "bad_endpoint", f"{shown(value)} has more than a path", "rules know no parameters"
        )
    for part in path.split("/"):
        if ("{" in part or "}" in part) and not _PLACEHOLDER.fullmatch(part):
            hint = "a placeholder is a whole part of the path, as in /items/{id}"
            raise complaint("bad_endpoint", f"{shown(value)} could never match", hint)
    return value


def _with_confirm(shape: RuleShape) -> RuleShape:
    if shape.above and shape.confirm is None:
        hint = 'add "confirm": "approve", or "never"'
        raise complaint("conflict", "above goes with confirm, which is missing", hint)
    return shape


def _of_tool(shape: RuleShape) -> RuleShape:
    for place, limit in (shape.above or {}).items():
        if not all(place.split(".")) or not isfinite(limit):
            hint = 'keys joined by dots, as in "data.amount"'
            raise complaint("bad_threshold", f"{shown(place)} is no threshold", hint)
    return _with_confirm(shape)


def _of_request(shape: RuleShape) -> RuleShape:
    for place in shape.above or ():
        source, _, rest = place.partition(".")
        if source not in ("data", "params") or not rest:
            hint = 'a path begins with "data." or "params."'
            raise complaint("bad_threshold", f"{shown(place)} is no field of a request", hint)
    return _of_tool(shape)


class AccessShape(FileShape):
    """`access.json`."""

    schema_: SchemaKey = None
    endpoints: Annotated[
        dict[
            Annotated[str, AfterValidator(endpoint_rule)],
            Annotated[RuleShape, AfterValidator(_of_request)],
        ],
        Field(
            default_factory=dict[str, RuleShape],
            description="By `METHOD /path`; `{id}` stands for one part of a path.",
        ),
    ]
    tools: Annotated[
        dict[str, Annotated[RuleShape, AfterValidator(_of_tool)]],
        Field(default_factory=dict[str, RuleShape], description="By tool name; globs allowed."),
    ]


def access_of(shape: AccessShape) -> Access:
    """The rules of the file, in its order."""
    return Access(endpoints=_rules(shape.endpoints), tools=_rules(shape.tools))


def _rules(shapes: Mapping[str, RuleShape]) -> tuple[AccessRule, ...]:
    return tuple(
        AccessRule(
            match=match,
            intent=Intent(each.intent) if each.intent else None,
            confirm=Confirm(each.confirm) if each.confirm else None,
            above=tuple(
                Threshold(tuple(place.split(".")), limit)
                for place, limit in (each.above or {}).items()
            ),
            reason=each.reason,
            external=each.external,
            reach=tuple(each.reach),
        )
        for match, each in shapes.items()
    )
