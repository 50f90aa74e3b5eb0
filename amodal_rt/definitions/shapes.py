"""The small shapes that files share, and the strictness of all of them."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from amodal_rt.definitions.words import nearest, zones
from amodal_rt.domain.secret import PREFIX, SecretRef, Text

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DURATION = re.compile(r"(\d{1,6})\s*(s|m|h|d)")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def complaint(code: str, message: str, hint: str | None = None) -> PydanticCustomError:
    """An error with our own code; its message names no type of Python's."""
    return PydanticCustomError(
        "amodal", "{message}", {"message": message, "code": code, "hint": hint}
    )


class FileShape(BaseModel):
    """One object of a file: strict types, unknown keys refused, camelCase or snake_case."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=AliasGenerator(
            validation_alias=lambda name: (
                AliasChoices(to_camel(name), name) if to_camel(name) != name else name
            ),
            serialization_alias=to_camel,
        ),
    )


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Listed = BeforeValidator(_listed)
"""A text alone means a list of one."""


def _filled(value: str) -> str:
    if not value.strip():
        raise complaint("empty", "must not be empty")
    return value


Filled = Annotated[str, AfterValidator(_filled), Field(min_length=1)]
"""A text with more than white space in it."""


def _whole_reference(value: str) -> str:
    if value.startswith(PREFIX) and not _VARIABLE.fullmatch(value.removeprefix(PREFIX)):
        raise complaint(
            "bad_env",
            f"{value!r} names no environment variable",
            "env:NAME, with letters, digits and underscores, stands alone as the whole value",
        )
    return value


EnvText = Annotated[str, AfterValidator(_filled), AfterValidator(_whole_reference)]
"""A text, or `env:NAME` as the whole of it."""


def _plain_text(value: str) -> str:
    if value.startswith(PREFIX) and _VARIABLE.fullmatch(value.removeprefix(PREFIX)):
        raise complaint(
            "env_not_here",
            f"{value} is not resolved here",
            "secrets never reach a prompt; env: stands in URLs, secrets and connection settings",
        )
    return value


Prompt = Annotated[str, AfterValidator(_filled), AfterValidator(_plain_text)]
"""Text for a model: `env:` has no meaning there, and pretending otherwise would leak nothing."""


def text_or_secret(value: str) -> Text:
    """A literal, or a reference where the whole value is `env:NAME`."""
    return SecretRef(value.removeprefix(PREFIX)) if value.startswith(PREFIX) else value


def _url(value: str) -> str:
    if value.startswith(PREFIX):
        return value
    if PREFIX in value or "${" in value:
        raise complaint(
            "bad_env",
            "env: stands only as the whole value",
            'put the whole URL into a variable: "env:NAME"',
        )
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise complaint("bad_url", f"not a URL: {error}") from None
    if parts.scheme.lower() not in ("http", "https"):
        raise complaint("bad_url", f"{value!r} is not an http or https URL", "begin with https://")
    if not host or any(each.isspace() or not each.isprintable() for each in value):
        raise complaint("bad_url", f"{value!r} names no host")
    if parts.username is not None or parts.password is not None:
        raise complaint(
            "bad_url", "a URL must not carry a user name or password", 'use "env:NAME" or auth'
        )
    return value


Url = Annotated[
    EnvText,
    AfterValidator(_url),
    WithJsonSchema({"type": "string", "pattern": "^(https?://|env:)"}),
]
"""An http(s) URL, or `env:NAME`."""


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or int(match[1]) == 0:
        raise complaint(
            "bad_duration", f"{value!r} is not a duration", 'for example "15m", "2h", "1d"'
        )
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema(
        {"type": "string", "pattern": "^\\d{1,6}\\s*[smhd]$", "examples": ["15m", "2h"]}
    ),
]
"""`90s`, `15m`, `2h`, `1d`."""


def _instant(value: str) -> str:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        raise complaint(
            "bad_time", f"{value!r} is not an ISO time", "for example 2026-03-02T09:00:00Z"
        ) from None
    return value


Instant = Annotated[
    str, AfterValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})
]
"""An ISO time; without an offset it is read in the schedule's zone."""


def instant(value: str, zone: str) -> datetime:
    """The instant in UTC; a text without offset is a wall-clock time of `zone`."""
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=ZoneInfo(zone))
    return parsed.astimezone(UTC)


def _zone(value: str) -> str:
    known = zones()
    if value not in known:
        raise complaint("bad_zone", f"{value!r} is not an IANA time zone", suggestion(value, known))
    return value


Zone = Annotated[str, AfterValidator(_zone), Field(examples=["Europe/Berlin"])]
"""An IANA zone name."""


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """`did you mean "x"?`, or None when nothing is near."""
    found = nearest(word, known)
    return f'did you mean "{found}"?' if found else None


def _never(value: object) -> object:
    if value is None:
        return None
    raise complaint("not_yet", "is not built yet", "take the key away; it would have no effect")


NotYet = Annotated[Any, BeforeValidator(_never), WithJsonSchema({"x-not-yet": True})]
"""A key of the specification whose behaviour does not exist yet: refused, never ignored."""
