"""Strict Liquid over what starts a run: keys and prompts.

A template may speak of `payload` (the event's data, or what the run was started with), `event`,
`schedule` and `automation`; a name that is not there is an error.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo

from amodal_rt import ids
from amodal_rt.clock import iso
from amodal_rt.domain.automation import Automation
from amodal_rt.domain.event import Event
from amodal_rt.errors import InvalidError

LONGEST_KEY = 512
"""Characters of a key that is kept as it was printed; of a longer one its digest is the key."""

_EVENT = re.compile(r"\{\{-?\s*event\s*-?\}\}")
DATA_BELOW = "(the data in the event_data block below)"
"""What stands for `{{event}}`."""
NO_DATA = "(no event data)"
"""What stands for it where there is none."""


def scope_of(
    automation: Automation,
    event: Event | None = None,
    payload: object = None,
    scheduled_for: datetime | None = None,
) -> Mapping[str, object]:
    """What a template sees. `payload` is the event's data where there is an event.

    A run that somebody started by hand has an `event` of the type `manual` about its payload, so
    that a template for events can be tried; what the payload lacks is still missing. A slot has
    `schedule`, its payload, and no event.
    """
    scope: dict[str, object] = {
        "automation": {
            "name": automation.name,
            "title": automation.title,
            "id": ids.automation(automation.name),
        }
    }
    if event is not None:
        payload = event.data
        scope["event"] = {
            "id": event.id,
            "type": event.type,
            "source": event.source,
            "subject": event.subject,
            "time": iso(event.time),
            "actor": event.actor,
            "data": event.data,
        }
    elif scheduled_for is None:
        scope["event"] = _by_hand(payload)
    if payload is not None or scheduled_for is None:
        scope["payload"] = payload
    if scheduled_for is not None:
        zones = {each.schedule.timezone for each in automation.crons}
        zone = zones.pop() if len(zones) == 1 else automation.timezone
        local = scheduled_for.astimezone(ZoneInfo(zone))
        scope["schedule"] = {
            "scheduled_at": iso(scheduled_for),
            "local_date": local.date().isoformat(),
            "local_time": local.strftime("%H:%M"),
            "timezone": zone,
        }
    return scope


def render_key(template: str, scope: Mapping[str, object]) -> str:
    """The key that `template` prints, without white space around it.

    Texts and numbers print as they are, lists, objects and null as JSON with sorted keys. A key
    longer than 512 characters, or one that no database keeps, is `sha256:` and its digest.
    Raises InvalidError (`template_render_failed`), also when nothing was printed.
    """
    from amodal_rt.definitions.strict_printing import printed_key  # noqa: PLC0415

    key = printed_key(template, scope).strip()
    if not key:
        raise _empty()
    if len(key) > LONGEST_KEY or "\0" in key:
        return "sha256:" + hashlib.sha256(key.encode()).hexdigest()
    return key


def render_prompt(template: str, scope: Mapping[str, object]) -> str:
    """The prompt that `template` prints.

    Its own words, and values of `automation` and `schedule`, stand as they are; every other value
    is one JSON literal without `<`, `>`, `&`, whatever was done to it before. `{{ event }}`
    alone refers to the block of event data. Raises InvalidError (`template_render_failed`), also
    when nothing was printed.
    """
    from amodal_rt.definitions.strict_printing import printed_prompt  # noqa: PLC0415

    text = printed_prompt(_EVENT.sub(_reference(scope), template), scope)
    if not text.strip():
        raise _empty()
    return text


def refers_to_event(template: str) -> bool:
    """Whether `{{ event }}` stands in it, so that the block of event data must follow."""
    return _EVENT.search(template) is not None


def strict_template_error(template: str) -> str | None:
    """What is wrong with a strict template, in one line; None when it can be read and knows its
    filters and names."""
    from amodal_rt.definitions.strict_printing import trouble  # noqa: PLC0415

    return trouble(template)


def _by_hand(payload: object) -> dict[str, object]:
    unknown = dict.fromkeys(("id", "subject", "time", "actor"))
    return {**unknown, "type": "manual", "source": "/trigger", "data": payload}


def _reference(scope: Mapping[str, object]) -> str:
    if "event" in scope:
        data = cast("Mapping[str, object]", scope["event"])["data"]
        return NO_DATA if data is None else DATA_BELOW
    return NO_DATA


def _empty() -> InvalidError:
    return InvalidError("template_render_failed: it prints nothing", code="template_render_failed")
