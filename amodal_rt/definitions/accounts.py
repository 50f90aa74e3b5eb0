"""Accounts as files name them: `github:octocat`."""

import re
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from amodal_rt.definitions.shapes import PlainText, complaint
from amodal_rt.definitions.words import shown
from amodal_rt.errors import InvalidError

_PROVIDER = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
LONGEST = 256
"""Characters of what a provider calls an account: no event keeps more."""


def _provider(value: str) -> str:
    if not _PROVIDER.fullmatch(value):
        hint = 'as events begin: "github", "slack"'
        raise complaint("wrong_value", f"{shown(value)} is not the name of a provider", hint)
    return value


def _subject(value: str) -> str:
    if not value.strip() or value != value.strip() or not value.isprintable():
        raise complaint(
            "wrong_value", f"{shown(value)} is not an account", "without spaces around it"
        )
    if len(value) > LONGEST:
        raise complaint("wrong_value", f"is longer than {LONGEST} characters")
    return value


def _account(value: str) -> str:
    provider, colon, subject = value.partition(":")
    if not colon or not subject:
        hint = 'as events name who caused them: "github:octocat"'
        raise complaint("wrong_value", f"{shown(value)} is not provider:account", hint)
    _provider(provider)
    _subject(subject)
    return value


ProviderName = Annotated[str, AfterValidator(_provider)]
"""`github`: what the events of a provider begin with."""

Subject = Annotated[PlainText, AfterValidator(_subject)]
"""What a provider calls an account: a login, a user id."""

Account = Annotated[PlainText, AfterValidator(_account)]
"""`provider:account`, as events name who caused them."""


def check_account(account: str) -> None:
    """Raise InvalidError (`bad_account`) for what is no `provider:account`."""
    try:
        _account(account)
    except PydanticCustomError as error:
        context = error.context or {}
        raise InvalidError(
            str(context.get("message")), code="bad_account", hint=context.get("hint")
        ) from None
