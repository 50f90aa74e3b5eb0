"""What a verified request is called: type, source, subject, actor of its event."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.intake.headers import Headers

GITHUB_EVENT = "x-github-event"
RECEIVED = "webhook.received"
"""The type of an own webhook whose sender no preset names."""
_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_LONGEST = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class EventName:
    """The attributes that say what happened, where, to what and by whom."""

    type: str
    source: str
    subject: str | None = None
    actor: str | None = None


def name_for(auth: WebhookAuth | None, stem: str, headers: Headers, data: object) -> EventName:
    """`github.<event>.<action>` for GitHub, else `webhook.received` from `/webhooks/<stem>`."""
    if auth and auth.scheme is SignatureScheme.GITHUB:
        return _github(headers.first(GITHUB_EVENT), data)
    return EventName(type=RECEIVED, source=f"/webhooks/{stem}")


def _github(event: str | None, data: object) -> EventName:
    parts = ["github", _word(event) or "unknown"]
    if action := _word(_text(data, "action")):
        parts.append(action)
    login = _text(data, "sender", "login")
    return EventName(
        type=".".join(parts),
        source="github",
        subject=_text(data, "repository", "full_name"),
        actor=f"github:{login}" if login else None,
    )


def _word(text: str | None) -> str | None:
    return text if text and _WORD.fullmatch(text) else None


def _text(data: object, *path: str) -> str | None:
    """The text at `path`, cut; None where there is none."""
    for key in path:
        if not isinstance(data, Mapping):
            return None
        data = cast("Mapping[str, object]", data).get(key)
    return data[:_LONGEST] if isinstance(data, str) and data else None
