"""The small shapes that files share, and the strictness of all of them."""

import re
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

from amodal_rt.definitions.words import nearest_zone, shown, type_name, zones
from amodal_rt.domain.secret import PREFIX, SecretRef, Text

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN = "AMODAL_RT_"
_DURATION = re.compile(r"([0-9]{1,9})\s*(s|m|h|d)")
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_INSIDE = re.compile(r"(?<![A-Za-z0-9_])env:[A-Za-z_]|\$\{")
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST = timedelta(days=3_650)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")


def complaint(code: str, message: str, hint: str | None = None) -> PydanticCustomError:
    """An error with our own code; its message names no type of Python's."""
    return PydanticCustomError(
        "amodal", "{message}", {"message": message, "code": code, "hint": hint}
    )


def _spellings(name: str) -> str | AliasChoices:
    return AliasChoices(to_camel(name), name) if to_camel(name) != name else name


class FileShape(BaseModel):
    """One object of a file: strict types, unknown keys refused, camelCase or snake_case."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=AliasGenerator(validation_alias=_spellings, serialization_alias=to_camel),
    )


def described(text: str) -> Any:
    """A key's documentation: the reference page and the editors' hints are made from it."""
    return Field(description=text)


SchemaKey = Annotated[
    str | None,
    Field(
        validation_alias="$schema",
        serialization_alias="$schema",
        description="Where this file's JSON Schema is, for editors; not read otherwise.",
    ),
]
"""`$schema`, which every file may carry."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Listed = BeforeValidator(_listed)
"""A text alone means a list of one."""


def plain_text(value: str) -> str:
    """The text. Raises a complaint (`env_not_here`) about one that is `env:NAME`."""
    if value.startswith(PREFIX) and _VARIABLE.fullmatch(value.removeprefix(PREFIX)):
        raise complaint(
            "env_not_here",
            f"{shown(value)} is not resolved here",
            "secrets never reach a prompt; env: stands in URLs, secrets and connection settings",
        )
    return value


PlainText = Annotated[str, AfterValidator(plain_text)]
"""A text in which `env:` has no meaning, so that `env:NAME` alone would only look like one."""


def _variable(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        hint = 'the name alone, as in "REGION"'
        raise complaint("wrong_value", f"{shown(value)} names no variable", hint)
    if value.upper().startswith(_OWN):
        raise complaint("wrong_value", f"{shown(value)} is the runtime's own")
    return value


Variable = Annotated[
    str,
    AfterValidator(_variable),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}),
]
"""The name of an environment variable."""


def _filled(value: str) -> str:
    if not value.strip():
        raise complaint("empty", "must not be empty")
    return value


Filled = Annotated[
    PlainText, AfterValidator(_filled), WithJsonSchema({"type": "string", "minLength": 1})
]
"""A text with more than white space in it."""


# Bounds stand inside the optional: outside, pydantic would measure the length of null.
Models = Annotated[list[Filled], Listed, Field(min_length=1)]
"""Models to try in order; a text alone means a list of one."""

Temperature = Annotated[float, Field(ge=0, le=2)]
"""How freely a model chooses words."""


Dollars = Annotated[float, Field(gt=0, le=1_000_000)]
"""An amount of US dollars."""

Tokens = Annotated[int, Field(ge=1, le=1_000_000_000_000)]
"""A number of tokens."""


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        hint = "lower-case letters, digits, - and _; 64 characters at most"
        raise complaint("wrong_value", f"{shown(value)} is not a slug", hint)
    return value


Slug = Annotated[
    str,
    AfterValidator(_slug),
    WithJsonSchema({"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}),
]
"""A name for programs."""


def _whole_reference(value: str) -> str:
    if value.startswith(PREFIX) and not _VARIABLE.fullmatch(value.removeprefix(PREFIX)):
        raise complaint(
            "bad_env",
            f"{shown(value)} names no environment variable",
            'write "env:NAME" as the whole value: letters, digits and underscores only',
        )
    if not value.startswith(PREFIX) and _INSIDE.search(value):
        # Sent as it stands, it would be a wrong secret and a riddle.
        raise complaint(
            "bad_env",
            "a variable stands only as the whole value",
            'put the whole of it into one variable and write "env:NAME"',
        )
    if "\r" in value or "\n" in value:
        raise complaint("bad_text", "must not hold a line break")
    return value


EnvText = Annotated[
    str,
    AfterValidator(_filled),
    AfterValidator(_whole_reference),
    WithJsonSchema({"type": "string", "minLength": 1}),
]
"""A text on one line, or `env:NAME` as the whole of it."""


def text_or_secret(value: str) -> Text:
    """A literal, or a reference where the whole value is `env:NAME`."""
    return SecretRef(value.removeprefix(PREFIX)) if value.startswith(PREFIX) else value


def _url(value: str) -> str:
    if value.startswith(PREFIX):
        return value
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise complaint("bad_url", "is not a URL: its host or port cannot be read") from None
    if parts.username is not None or parts.password is not None:
        # The value is not shown: it holds a password.
        raise complaint(
            "bad_url",
            "a URL must not carry a user name or password",
            'write the whole URL as "env:NAME", or use auth in a connection',
        )
    if parts.scheme.lower() not in ("http", "https"):
        raise complaint(
            "bad_url", f"{shown(value)} is not an http or https URL", "begin with https://"
        )
    if not host:
        raise complaint("bad_url", f"{shown(value)} names no host", "as in https://host/path")
    if any(each.isspace() or not each.isprintable() for each in value):
        raise complaint("bad_url", f"{shown(value)} holds a space or an unprintable character")
    return value


Url = Annotated[
    EnvText,
    AfterValidator(_url),
    WithJsonSchema({"type": "string", "pattern": "^([hH][tT][tT][pP][sS]?://|env:)"}),
]
"""An http(s) URL, or `env:NAME`."""


def _database(value: str) -> str:
    if not value.startswith((PREFIX, "postgresql://", "postgres://")):
        message = f"{shown(value)} is no URL of a PostgreSQL database"
        raise complaint("bad_database", message, '"env:DATABASE_URL", or "postgresql://HOST/NAME"')
    return value


DatabaseUrl = Annotated[
    EnvText,
    AfterValidator(_database),
    WithJsonSchema({"type": "string", "pattern": "^(postgres(ql)?://|env:)"}),
]
"""The URL of a PostgreSQL database, or `env:NAME`."""


def _literal(value: str) -> str:
    if value.startswith(PREFIX):
        message = f"{shown(value)} is not resolved here"
        raise complaint("env_not_here", message, "this is no secret: write the URL itself")
    return value


PlainUrl = Annotated[
    Url,
    AfterValidator(_literal),
    WithJsonSchema({"type": "string", "pattern": "^[hH][tT][tT][pP][sS]?://"}),
]
"""An http(s) URL, written out."""


def _header(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise complaint(
            "bad_header", f"{shown(value)} is not a header's name", "as in X-Hub-Signature-256"
        )
    return value


HeaderName = Annotated[
    str, AfterValidator(_header), WithJsonSchema({"type": "string", "minLength": 1})
]
"""The name of an HTTP header."""


def _duration(value: object) -> object:
    if isinstance(value, timedelta):
        return value
    hint = 'for example "90s", "15m", "2h", "1d"'
    if not isinstance(value, str):
        raise complaint("wrong_type", f"must be a duration in quotes, not {type_name(value)}", hint)
    match = _DURATION.fullmatch(value.strip())
    if match is None:
        raise complaint("bad_duration", f"{shown(value)} is not a duration", hint)
    seconds = int(match[1]) * _UNITS[match[2]]
    if not 0 < seconds <= _LONGEST.total_seconds():
        message = f"{shown(value)} is not between 1s and {_LONGEST.days}d"
        raise complaint("bad_duration", message)
    return timedelta(seconds=seconds)


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema(
        {"type": "string", "pattern": "^\\s*[0-9]{1,9}\\s*[smhd]\\s*$", "examples": ["15m", "2h"]}
    ),
]
"""`90s`, `15m`, `2h`, `1d`."""


def _instant(value: str) -> str:
    try:
        year = datetime.fromisoformat(value).year
    except ValueError:
        raise complaint(
            "bad_time",
            f"{shown(value)} is not an ISO time",
            'for example "2026-03-02T09:00:00Z"',
        ) from None
    if not 1970 <= year <= 9000:
        raise complaint("bad_time", f"{shown(value)} is not between the years 1970 and 9000")
    return value


Instant = Annotated[str, AfterValidator(_instant), WithJsonSchema({"type": "string"})]
"""An ISO time; without an offset it is read in the schedule's zone."""


def in_gap(value: str, zone: str) -> bool:
    """Whether clocks of `zone` never show this wall-clock time: they go forward over it."""
    wall = datetime.fromisoformat(value)
    if wall.tzinfo is not None:
        return False
    there_and_back = wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).astimezone(ZoneInfo(zone))
    return there_and_back.replace(tzinfo=None) != wall


def instant(value: str, zone: str) -> datetime:
    """The instant in UTC; a text without offset is a wall-clock time of `zone`."""
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=ZoneInfo(zone))
    return parsed.astimezone(UTC)


def _zone(value: str) -> str:
    if value not in zones():
        near = nearest_zone(value)
        hint = f'did you mean "{near}"?' if near else 'for example "Europe/Berlin" or "UTC"'
        raise complaint("bad_zone", f"{shown(value)} is not an IANA time zone", hint)
    return value


Zone = Annotated[
    str,
    AfterValidator(_zone),
    WithJsonSchema({"type": "string", "minLength": 1, "examples": ["Europe/Berlin"]}),
]
"""An IANA zone name."""


def _unbuilt(value: object) -> object:
    if value is None:
        return None
    raise complaint("not_yet", "is not built yet", "take the key away; it would have no effect")


NotYet = Annotated[Any, BeforeValidator(_unbuilt)]
"""A key of the specification whose behaviour does not exist yet: refused, never ignored."""


def later(text: str) -> Any:
    """The documentation of a `NotYet` key, marked as such in the JSON Schema."""
    return Field(description=text, json_schema_extra={"x-not-yet": True})
