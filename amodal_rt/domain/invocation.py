"""How a program may start an automation with a payload of its own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import cast


class InvokeAuth(StrEnum):
    """Who may invoke: a program with a token, or a person who is signed in."""

    SECRET_KEY = "secret_key"  # noqa: S105  a word of the API
    USER = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """`schema` judges the payload (JSON Schema 2020-12), None takes any. `prefills` are values that
    no caller can change. `auth` None lets both kinds of caller in."""

    schema: Mapping[str, object] | None = None
    prefills: Mapping[str, object] = field(default_factory=dict[str, object])
    auth: InvokeAuth | None = None


class LockedError(ValueError):
    """A caller gave another value than the one that is locked; the message is its path."""


def with_prefills(payload: object, prefills: Mapping[str, object]) -> object:
    """The payload with every prefilled value in it. Objects are joined key by key.

    Raises LockedError where the payload has another value; the same value is accepted.
    """
    return _joined(payload, prefills, ()) if prefills else payload


def same_json(one: object, other: object) -> bool:
    """Whether both are one JSON value: `1` and `true` are two, the order of keys is none."""
    return _canonical(one) == _canonical(other)


def _joined(value: object, locked: object, path: tuple[str, ...]) -> object:
    inner, fixed = _mapping(value), _mapping(locked)
    if inner is None or fixed is None:
        if not same_json(value, locked):
            raise LockedError(".".join(path))
        return value
    given = dict(inner)
    for key, each in fixed.items():
        given[key] = _joined(given[key], each, (*path, key)) if key in given else each
    return given


def _mapping(value: object) -> Mapping[str, object] | None:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else None


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=dict)
