"""What a request for a verb asks with, over the control socket and over TCP."""

import json
import urllib.parse
from collections.abc import Mapping
from typing import cast

from aiohttp import web

from amodal_rt.domain.invocation import InvokeAuth
from amodal_rt.domain.token import Scope
from amodal_rt.errors import InvalidError
from amodal_rt.operations import asked
from amodal_rt.ports import Caller
from amodal_rt.servers import guard
from amodal_rt.servers.guard import CONTENT, TOKEN
from amodal_rt.servers.peers import user_name

_YES = ("1", "true")
UID: web.RequestKey[int] = web.RequestKey("uid", int)
"""The user at the other end of the socket."""


def caller_of(request: web.Request) -> Caller:
    """Who asks, as the audit trail keeps it: over TCP the token, whatever the request says."""
    if TOKEN in request:
        return guard.caller_of(request)
    # Root may say for whom it asks (`sudo`); anybody else here is this daemon's own user.
    said = urllib.parse.unquote(request.headers.get("X-Actor", ""))
    actor = "".join(each for each in said if each.isprintable())[:64]
    return Caller(actor=actor or user_name(request[UID]), door="cli")


def shown_by(request: web.Request) -> InvokeAuth | None:
    """What who asks proved itself with, None for those who operate the runtime: its own user, and
    a token that may manage."""
    if TOKEN not in request or request[TOKEN].allows(Scope.MANAGE):
        return None
    return InvokeAuth.SECRET_KEY


def name_of(request: web.Request) -> str:
    """The `{name}` of the route."""
    return request.match_info["name"]


def id_of(request: web.Request) -> str:
    """The `{id}` of the route."""
    return request.match_info["id"]


def asks(request: web.Request, name: str) -> bool:
    """Whether the query says yes to `name`."""
    return request.query.get(name) in _YES


def limit_of(request: web.Request, default: int = 50) -> int:
    """How many rows are wanted. Raises InvalidError (`bad_limit`)."""
    return asked.limit(request.query.get("limit"), default=default)


def number_of(text: str | None) -> int:
    """A sequence, 0 where none is given. Raises InvalidError (`bad_sequence`)."""
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidError(f"{text[:60]!r} is no sequence", code="bad_sequence")
    return int(text)


def days_of(request: web.Request) -> int:
    """How many days are asked for, today included: 1 where none are. Raises InvalidError
    (`bad_days`)."""
    text = request.query.get("days", "1")
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidError(f"{text[:60]!r} is no number of days", code="bad_days")
    return int(text)


async def content_of(request: web.Request) -> bytes:
    """The body's bytes; over TCP the guard has read them."""
    return request[CONTENT] if CONTENT in request else await request.read()


async def body_of(request: web.Request) -> Mapping[str, object]:
    """The JSON object of the body, empty where there is none. Raises InvalidError."""
    content = await content_of(request)
    if not content:
        return {}
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        raise InvalidError("the body is not JSON", code="bad_body") from None
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise InvalidError("the body is not a JSON object", code="bad_body")
    return body  # pyright: ignore[reportUnknownVariableType]


def text_of(body: Mapping[str, object], key: str) -> str | None:
    """A text of the body, or None. Raises InvalidError (`bad_body`)."""
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise InvalidError(f"{key} is not a text", code="bad_body")
    return value or None


def texts_of(body: Mapping[str, object], key: str) -> list[str]:
    """A list of texts of the body, empty where there is none. Raises InvalidError (`bad_body`)."""
    value = body.get(key)
    if value is None:
        return []
    found = cast("list[object]", value) if isinstance(value, list) else [None]
    texts = [each for each in found if isinstance(each, str)]
    if len(texts) != len(found):
        raise InvalidError(f"{key} is no list of texts", code="bad_body")
    return texts
