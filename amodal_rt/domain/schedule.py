"""When a schedule is due: pure functions of (schedule, instant).

All ranges are `after < t <= until`, of aware instants; what is returned is UTC. Within them
`start_at <= t < end_at`. What cron means stands in `cron`.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice

from amodal_rt.clock import iso
from amodal_rt.domain.cron import ScheduleError, expand, parse_cron, zoned
from amodal_rt.domain.trigger import Schedule

__all__ = [
    "EPOCH",
    "ScheduleError",
    "Stretch",
    "count_slots",
    "describe",
    "duration",
    "fingerprint",
    "first_after",
    "last_slot",
    "parse_cron",
    "slots",
    "stretch",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_HORIZON = timedelta(days=50 * 366)
_END_OF_TIME = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Consecutive slots: the first, the last, and how many."""

    first: datetime
    last: datetime
    count: int


def first_after(schedule: Schedule, after: datetime) -> datetime | None:
    """The first slot after `after`, or None when none comes within fifty years."""
    low, _ = _bounds(schedule, after, after)
    horizon = min(low, _END_OF_TIME - _HORIZON) + _HORIZON
    return next(_due(schedule, after, horizon), None)


def slots(schedule: Schedule, after: datetime, until: datetime, limit: int) -> list[datetime]:
    """The first `limit` slots of the range, in order."""
    return list(islice(_due(schedule, after, until), limit))


def stretch(schedule: Schedule, after: datetime, until: datetime) -> Stretch | None:
    """All slots of the range, or None; a year of minutes takes milliseconds."""
    first = next(_due(schedule, after, until), None)
    if first is None:
        return None
    last = last_slot(schedule, after, until)
    assert last is not None, "the first slot is also one before the end"
    return Stretch(first=first, last=last, count=count_slots(schedule, after, until))


def last_slot(schedule: Schedule, after: datetime, until: datetime) -> datetime | None:
    """The newest slot of the range, or None."""
    low, high = _bounds(schedule, after, until)
    if schedule.cron is not None:
        return zoned(expand(schedule.cron), schedule.timezone).last(low, high)
    first = next(_due(schedule, after, until), None)
    if first is None or schedule.every is None:
        return first
    return first + (high - first) // schedule.every * schedule.every


def count_slots(schedule: Schedule, after: datetime, until: datetime) -> int:
    """How many slots the range holds."""
    low, high = _bounds(schedule, after, until)
    if schedule.cron is not None:
        return zoned(expand(schedule.cron), schedule.timezone).count(low, high)
    first = next(_due(schedule, after, until), None)
    if first is None:
        return 0
    return (high - first) // schedule.every + 1 if schedule.every else 1


@lru_cache(maxsize=32_768)
def fingerprint(schedule: Schedule) -> str:
    """Changes exactly when the schedule means something else."""
    parts = [
        expand(schedule.cron) if schedule.cron else None,
        schedule.every.total_seconds() if schedule.every else None,
        *(each.isoformat() if each else None for each in (schedule.at, schedule.start_at)),
        schedule.end_at.isoformat() if schedule.end_at else None,
        schedule.timezone if schedule.cron else None,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def describe(schedule: Schedule) -> str:
    """`0 9 * * 1-5`, `every 15m` or `at 2026-03-02T09:00:00Z`."""
    if schedule.cron is not None:
        return schedule.cron
    if schedule.every is not None:
        return f"every {duration(schedule.every)}"
    return f"at {iso(schedule.at)}"


def duration(length: timedelta) -> str:
    """`15m`, `2h`, `1d`, `90s`: the largest unit that divides it."""
    seconds = round(length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _bounds(schedule: Schedule, after: datetime, until: datetime) -> tuple[datetime, datetime]:
    """The range without what lies outside the schedule's own bounds."""
    low, high = after.astimezone(UTC), until.astimezone(UTC)
    if schedule.start_at is not None:
        # A slot at the very start is due, and a range begins after its first instant.
        low = max(low, schedule.start_at.astimezone(UTC) - _TICK)
    if schedule.end_at is not None:
        high = min(high, schedule.end_at.astimezone(UTC) - _TICK)
    return low, high


def _due(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    low, high = _bounds(schedule, after, until)
    if schedule.cron is not None:
        yield from zoned(expand(schedule.cron), schedule.timezone).due(low, high)
    elif schedule.every is not None:
        start = (schedule.start_at or EPOCH).astimezone(UTC)
        slot = start + ((low - start) // schedule.every + 1) * schedule.every
        while slot <= high:
            yield slot
            slot += schedule.every
    elif schedule.at is not None and low < schedule.at <= high:
        yield schedule.at.astimezone(UTC)
