"""Which events start an automation, as files spell it."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from amodal_rt.definitions.filtering import FilterField, ParamsField
from amodal_rt.definitions.shapes import (
    FileShape,
    Listed,
    PlainText,
    complaint,
    described,
)
from amodal_rt.definitions.words import shown

NAME = re.compile(r"[^\s\"'\\]{1,255}")
"""What may name an event, or several with `*`: other systems choose the names."""
_MEMBER = re.compile(r"(member:)?[a-z0-9][a-z0-9_-]{0,63}")


def is_event_name(text: str) -> bool:
    """Whether a text can be the name of an event, or a glob over names."""
    return NAME.fullmatch(text) is not None and text.isprintable()


def _event(value: str) -> str:
    if not is_event_name(value):
        hint = 'as in "github.issues.opened", or "github.*"'
        raise complaint("bad_event", f"{shown(value)} is not the name of an event", hint)
    return value


def _actor(value: str) -> str:
    if value != value.strip() or not value.isprintable() or not _names_somebody(value):
        hint = 'an account ("github:octocat"), the id of a member, or a glob ("slack:*")'
        raise complaint("bad_actor", f"{shown(value)} names nobody", hint)
    return value


def _names_somebody(value: str) -> bool:
    provider, colon, subject = value.partition(":")
    return bool(provider and colon and subject) or "*" in value or bool(_MEMBER.fullmatch(value))


EventName = Annotated[
    PlainText, AfterValidator(_event), WithJsonSchema({"type": "string", "minLength": 1})
]
"""`github.issues.opened`, or `github.*`."""

Actors = Annotated[
    list[Annotated[PlainText, AfterValidator(_actor)]],
    Listed,
    Field(min_length=1, max_length=1_000),
]
"""Whose events count; a text alone means a list of one."""


class EventConditionShape(FileShape):
    """One type of event, and which of them."""

    event: Annotated[EventName | None, described("The type of event; `*` stands for any text.")] = (
        None
    )
    event_type: Annotated[EventName | None, described("Another word for `event`.")] = None
    params: Annotated[ParamsField, described("Which of them, by their top-level keys.")] = ()
    filter: Annotated[FilterField, described("Which of them, by a filter over their data.")] = None
    payload_filter: Annotated[FilterField, described("Another word for `filter`.")] = None
    actors: Annotated[
        Actors | None,
        described("Whose: accounts (`github:octocat`), ids of members, globs (`slack:*`)."),
    ] = None


EventConditions = Annotated[list[EventConditionShape], Field(min_length=1, max_length=100)]
"""Any one of them is enough."""
