"""What a value becomes by being stored: the same as in a database."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from amodal_rt.clock import from_millis, to_millis


def instant(at: datetime) -> datetime:
    """To the millisecond, in UTC."""
    if at.tzinfo is UTC and not at.microsecond % 1000:
        return at
    return from_millis(to_millis(at))


def maybe_instant(at: datetime | None) -> datetime | None:
    """`instant`, None staying None."""
    return None if at is None else instant(at)


def text(value: str) -> str:
    """Lone surrogates become `\\udcXX` escapes."""
    if value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()


def maybe_text(value: str | None) -> str | None:
    """`text`, None staying None."""
    return None if value is None else text(value)


def document(value: object) -> object:
    """A JSON value that shares nothing with what was given."""
    if value is None or isinstance(value, bool | int | str):
        return value
    return json.loads(json.dumps(value))


def mapping(value: Mapping[str, object]) -> Mapping[str, object]:
    """`document` of an object."""
    return cast("dict[str, object]", document(dict(value)))
