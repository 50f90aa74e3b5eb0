"""What pages say of times, numbers and schedules."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo

import cron_descriptor  # pyright: ignore[reportMissingTypeStubs]

from amodal_rt.clock import iso, parse_iso
from amodal_rt.domain import schedule
from amodal_rt.domain.automation import Automation
from amodal_rt.domain.cron import expand
from amodal_rt.domain.run import FailedReason, PendingReason, RunStatus, SkippedReason
from amodal_rt.domain.trigger import Schedule

_REASONS: Mapping[str, str] = {
    each.value: each.value.replace("_", " ")
    for kind in (FailedReason, PendingReason, SkippedReason)
    for each in kind
} | {PendingReason.AWAITING_APPROVAL.value: "waits for a person's answer"}
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))
_EVERY = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_ONE = {"d": "day", "h": "hour", "m": "minute", "s": "second"}
_SPOKEN = cron_descriptor.Options(use_24hour_time_format=True, locale_code="en_US")


def schedules_in_words(parsed: Automation | None) -> list[str]:
    """`At 09:00, Monday through Friday (Europe/Berlin)`, one for each schedule."""
    return [schedule_in_words(each.schedule) for each in parsed.crons] if parsed else []


def schedule_in_words(found: Schedule) -> str:
    """One schedule as people say it, else as its file has it."""
    if found.cron is None:
        return _plainly(found)
    return f"{_cron_in_words(expand(found.cron))} ({found.timezone})"


def reason(text: str) -> str:
    """Why a run has its status; what is no code stands as it is."""
    return _REASONS.get(text, text)


def instant(value: datetime | str | None, zone: str = "UTC") -> str:
    """`Mon 2 Mar 09:00:00 UTC`, on the clock of that zone; `–` where there is none."""
    if value is None:
        return "–"
    at = (parse_iso(value) if isinstance(value, str) else value).astimezone(ZoneInfo(zone))
    return f"{at:%a} {at.day} {at:%b %H:%M:%S} {at.tzname() or zone}"


def distance(value: datetime | str | None, now: datetime) -> str:
    """`in 3 h`, `5 min ago`, `now`."""
    if value is None:
        return "–"
    seconds = ((parse_iso(value) if isinstance(value, str) else value) - now).total_seconds()
    away = abs(seconds)
    size = span(away) if away >= 60 else f"{round(away)} s"
    if away < 1:
        return "now"
    return f"in {size}" if seconds > 0 else f"{size} ago"


def iso_of(value: datetime | str | None) -> str:
    """An instant as programs read it."""
    return value if isinstance(value, str) else iso(value) or ""


def span(length: timedelta | float | None) -> str:
    """`2 d`, `3 h`, `12 min`, `4.2 s`: one unit, rounded."""
    if length is None:
        return "–"
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    for unit, size in _UNITS:
        if seconds >= 2 * size or (unit == "min" and seconds >= size):
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds)} s" if seconds >= 9.95 else f"{seconds:.1f} s"


def number(value: int | None) -> str:
    """`12,345`."""
    return "–" if value is None else f"{value:,}"


def money(value: float | None) -> str:
    """`$0.0123`; `unknown` where no price is known."""
    return "unknown" if value is None else f"${value:,.4f}"


def success(ends: Sequence[RunStatus]) -> tuple[int, int]:
    """How many of these runs completed, in percent, and how many they are."""
    good = sum(each is RunStatus.COMPLETED for each in ends)
    return (round(100 * good / len(ends)) if ends else 0), len(ends)


def pretty(value: object) -> str:
    """JSON with indents; a text as it is."""
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def cut(text: str, limit: int) -> tuple[str, int]:
    """The beginning of a text, and how many characters are missing."""
    return text[:limit], max(len(text) - limit, 0)


def powers(document: Mapping[str, object]) -> list[tuple[str, str]]:
    """What an automation may do, in short, from its whole document; nothing is known of one that
    has no version."""

    def listed(key: str, default: str) -> str:
        names = document.get(key)
        if not isinstance(names, list):
            return default
        return ", ".join(str(each) for each in cast("list[object]", names))

    if document.get("definition") is None:
        return []
    rows = [
        ("Writes", document.get("writes")),
        ("Connections", listed("connections", "all that its agent has")),
        ("Tools", listed("tools", "all of its connections")),
        ("Agent", document.get("agent")),
        ("Model", document.get("model")),
        ("Runs as", document.get("run_as")),
        ("Results go to", listed("delivery", "") or None),
    ]
    return [(name, str(value)) for name, value in rows if value]


@lru_cache(maxsize=1024)
def _cron_in_words(expression: str) -> str:
    try:
        return cron_descriptor.get_description(expression, _SPOKEN)
    except (
        cron_descriptor.FormatException,
        cron_descriptor.MissingFieldException,
        cron_descriptor.WrongArgumentException,
        LookupError,
        ValueError,
    ):
        return expression


def _plainly(found: Schedule) -> str:
    if found.every is None:
        return f"Once, {instant(found.at)}"
    text = schedule.duration(found.every)
    count, unit = text[:-1], text[-1]
    return f"Every {_ONE[unit]}" if count == "1" else f"Every {count} {_EVERY[unit]}"
