"""Requests by which a provider asks whether this endpoint is ours: answered, never an event.

All of them have been verified before: an endpoint that answers strangers can be claimed by
them, and Zoom's challenge would sign for them whatever they like.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import parse_qs, urlsplit

from amodal_rt.domain.signing import QueryChallenge, wire_bytes
from amodal_rt.domain.trigger import SignatureScheme as Scheme
from amodal_rt.intake.requests import Answer

_LONGEST = 1024
_MOST_PARAMETERS = 32
# What Zoom signs with the same secret holds colons: such a text can never come out of this.
_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PLAIN = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}

Data = Mapping[str, object]


def answer_to(scheme: Scheme, data: object, secret: str) -> Answer | None:
    """The answer to a challenge that was signed with `secret`; None when it is none."""
    asked = _ASKED.get(scheme)
    if asked is None or not isinstance(data, Mapping):
        return None
    return asked(cast("Data", data), secret)


def echo_of(challenge: QueryChallenge, token: str, target: str) -> Answer | str:
    """The answer to a GET of that target, or the cause why there is none; as Meta and others do it:
    https://developers.facebook.com/docs/graph-api/webhooks/getting-started"""
    try:
        query = parse_qs(
            urlsplit(target).query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        return "malformed query"
    given, asked = query.get(challenge.token_in, []), query.get(challenge.echo, [])
    # Of one length whatever was sent, so that the time tells nothing of the token's.
    mine, theirs = (
        hashlib.sha256(wire_bytes(each)).digest() for each in (token, given[0] if given else "")
    )
    if not hmac.compare_digest(mine, theirs) or len(given) != 1:
        return f"the parameter {challenge.token_in} is not the token"
    if len(asked) != 1 or not asked[0] or len(asked[0]) > _LONGEST or not asked[0].isprintable():
        return f"the parameter {challenge.echo} holds no text that is answered"
    return Answer(status=200, text=asked[0], headers=_PLAIN)


def _slack(data: Data, secret: str) -> Answer | None:
    """https://docs.slack.dev/reference/events/url_verification"""
    if data.get("type") != "url_verification":
        return None
    challenge = data.get("challenge")
    if not isinstance(challenge, str) or len(challenge.encode("utf-8", "replace")) > _LONGEST:
        return _malformed()
    return Answer(status=200, text=challenge, headers=_PLAIN)


def _zoom(data: Data, secret: str) -> Answer | None:
    """https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint"""
    if data.get("event") != "endpoint.url_validation":
        return None
    payload = data.get("payload")
    token = cast("Data", payload).get("plainToken") if isinstance(payload, Mapping) else None
    if not isinstance(token, str) or not _PLAIN_TOKEN.fullmatch(token):
        return _malformed()
    digest = hmac.digest(wire_bytes(secret), token.encode("ascii"), "sha256").hex()
    return Answer(status=200, document={"plainToken": token, "encryptedToken": digest})


def _discord(data: Data, secret: str) -> Answer | None:
    """https://discord.com/developers/docs/events/webhook-events#preparing-for-events and
    https://discord.com/developers/docs/interactions/overview#setting-up-an-endpoint"""
    match data.get("type"):
        case 0:
            return Answer(status=204, text="", headers={"Content-Type": "application/json"})
        # An event has the type 1, too, but a ping of interactions holds none.
        case 1 if "event" not in data:
            return Answer(status=200, document={"type": 1})
        case _:
            return None


def _malformed() -> Answer:
    error = {"code": "bad_challenge", "message": "this challenge is not answered"}
    return Answer(status=400, document={"error": error})


_ASKED: Mapping[Scheme, Callable[[Data, str], Answer | None]] = {
    Scheme.SLACK: _slack,
    Scheme.ZOOM: _zoom,
    Scheme.DISCORD: _discord,
}
