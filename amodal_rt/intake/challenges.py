"""Requests by which a provider asks whether this endpoint is ours: answered, never an event.

All of them have been verified before: an endpoint that answers strangers can be claimed by
them, and Zoom's challenge would sign for them whatever they like.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from typing import cast

from amodal_rt.domain.signing import wire_bytes
from amodal_rt.domain.trigger import SignatureScheme as Scheme
from amodal_rt.intake.requests import Answer

_LONGEST = 1024
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
