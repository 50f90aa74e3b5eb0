"""`access.json` of a connection → what its owner says about endpoints and tools."""

import re
from collections.abc import Mapping
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
from amodal_rt.domain.connection import Access, AccessRule, Confirm, Intent

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


class AccessShape(FileShape):
    """`access.json`."""

    schema_: SchemaKey = None
    endpoints: Annotated[
        dict[Annotated[str, AfterValidator(endpoint_rule)], RuleShape],
        Field(
            default_factory=dict[str, RuleShape],
            description="By `METHOD /path`; `{id}` stands for one part of a path.",
        ),
    ]
    tools: Annotated[
        dict[str, RuleShape],
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
            reason=each.reason,
            external=each.external,
            reach=tuple(each.reach),
        )
        for match, each in shapes.items()
    )
