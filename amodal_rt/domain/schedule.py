"""When a schedule is due: pure functions of (schedule, instant).

Standard cron over `cronsim`, which agrees with Debian's cron on plain expressions; the
calendar arithmetic is its, the mapping to a zone's offsets is ours.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from amodal_rt.domain.trigger import Schedule
from amodal_rt.errors import InvalidError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _WEEKDAYS),
)


class ScheduleError(InvalidError):
    """A schedule that names no time, or names it in words that cron does not have."""

    default_code = "bad_cron"


def expand(expression: str) -> str:
    """The five fields: aliases written out, white space folded."""
    text = " ".join(expression.split())
    return _ALIASES.get(text.lower(), text)


def parse_cron(expression: str) -> None:
    """Raise ScheduleError, naming the field and what it allows, for what is never due."""
    text = expand(expression)
    if text.startswith("@"):
        raise ScheduleError(
            f"{text} is not a schedule", hint=f"use one of {', '.join(sorted(_ALIASES))}"
        )
    fields = text.split()
    if len(fields) != 5:
        hint = "minute hour day-of-month month day-of-week; there is no field for seconds"
        raise ScheduleError(f"a cron expression has five fields, not {len(fields)}", hint=hint)
    for field, (name, low, high, words) in zip(fields, _FIELDS, strict=True):
        _parse_field(field, name, low, high, words)
    try:
        next(CronSim(text, EPOCH.replace(tzinfo=None)))
    except (CronSimError, StopIteration):
        raise ScheduleError(f"{text} is never due: no month of the year has that day") from None


def _parse_field(field: str, name: str, low: int, high: int, words: tuple[str, ...]) -> None:
    for term in field.split(","):
        match = re.fullmatch(r"(\*|[^-/*]+(?:-[^-/*]+)?)(?:/(.+))?", term)
        if match is None:
            raise ScheduleError(f"{name}: {term!r} is not a value, a range or a step")
        span, step = match.groups()
        if step is not None and (not step.isascii() or not step.isdigit() or int(step) == 0):
            raise ScheduleError(f"{name}: the step in {term!r} must be a whole number above 0")
        if span == "*":
            continue
        bounds = [_value(part, name, low, high, words) for part in span.split("-")]
        if len(bounds) == 2 and bounds[0] > bounds[1]:
            raise ScheduleError(f"{name}: the range {span} runs backwards")


def _value(part: str, name: str, low: int, high: int, words: tuple[str, ...]) -> int:
    if part.upper() in words:
        return words.index(part.upper()) + low
    if not part.isascii() or not part.isdigit():
        special = set(part.upper()) & set("LW#?")
        hint = f"{', '.join(sorted(special))} belong to other schedulers" if special else None
        allowed = f"{low} to {high}" + (f" or {words[0]} to {words[-1]}" if words else "")
        raise ScheduleError(f"{name}: {part!r} is not {allowed}", hint=hint)
    value = int(part)
    if not low <= value <= high:
        raise ScheduleError(f"{name} {value} does not exist", hint=f"{low} to {high}")
    return value


def first_after(schedule: Schedule, after: datetime) -> datetime | None:
    """The first due instant strictly after `after` (aware), in UTC; None when there is none.

    `start_at <= t < end_at`. DST: where the minute or hour field begins with `*`, every
    matching wall-clock minute is due, both times of a repeated hour, none in a gap; otherwise
    each local slot is due once, at the first of a repeat, or at the end of the gap it fell in.
    """
    if schedule.start_at is not None and after < schedule.start_at:
        # A slot at the very start is due, and cron itself only knows "after".
        after = schedule.start_at - timedelta(microseconds=1)
    after = after.astimezone(UTC)
    if schedule.at is not None:
        due = schedule.at.astimezone(UTC) if schedule.at > after else None
    elif schedule.every is not None:
        due = _every(schedule.every, schedule.start_at or EPOCH, after)
    else:
        due = _cron(expand(schedule.cron or ""), schedule.timezone, after)
    if due is None or (schedule.end_at is not None and due >= schedule.end_at):
        return None
    return due


def slots(schedule: Schedule, after: datetime, until: datetime, limit: int) -> list[datetime]:
    """Due instants with `after < t <= until`, in order, at most `limit`."""
    found: list[datetime] = []
    while len(found) < limit:
        due = first_after(schedule, after)
        if due is None or due > until:
            break
        found.append(due)
        after = due
    return found


def smallest_gap(schedule: Schedule, start: datetime, *, sample: int = 200) -> timedelta | None:
    """The shortest time between two of the next `sample` slots; None with fewer than two."""
    if schedule.every is not None:
        return schedule.every
    if schedule.cron is not None:
        # Cron's own grain is a minute, and equal minutes of one zone are one slot.
        return _MINUTE
    return None


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
    assert schedule.at is not None
    return "at " + schedule.at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def duration(length: timedelta) -> str:
    """`15m`, `2h`, `1d`, `90s`: the largest unit that divides it."""
    seconds = round(length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _every(length: timedelta, start: datetime, after: datetime) -> datetime:
    if after < start:
        return start.astimezone(UTC)
    return start.astimezone(UTC) + ((after - start) // length + 1) * length


@lru_cache(maxsize=4096)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _cron(expression: str, timezone: str, after: datetime) -> datetime | None:
    if timezone == "UTC":
        naive = _naive_after(expression, after.replace(tzinfo=None))
        return naive.replace(tzinfo=UTC) if naive else None
    zone = _zone(timezone)
    minute, hour = expression.split()[:2]
    if minute.startswith("*") or hour.startswith("*"):
        return _every_wall_minute(expression, zone, after)
    return _once_per_slot(expression, zone, after)


def _naive_after(expression: str, after: datetime) -> datetime | None:
    """The calendar's next match, in a world without zones."""
    return next(iter(CronSim(expression, after)), None)


def _once_per_slot(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    # A slot in a gap is due at the gap's end, which is later on the wall than the slot: the
    # search begins a day early, or it would step over such a slot.
    local = after.astimezone(zone).replace(tzinfo=None) - _DAY
    for _ in range(4_000):
        found = _naive_after(expression, local)
        if found is None:
            return None
        due = _instant_of_slot(found, zone)
        if due > after:
            return due
        local = found
    raise AssertionError("a day holds fewer than 4,000 slots")


def _instant_of_slot(local: datetime, zone: ZoneInfo) -> datetime:
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == local:
        return first
    # In a gap: fold 0 reads the clock as before the change, which lies past it.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _change_between(zone, before, first)


def _every_wall_minute(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    # Between two changes of the offset the wall clock runs evenly: look inside one such
    # stretch, and go on in the next when the match lies beyond its end.
    start = after
    while True:
        offset = _offset(zone, start)
        found = _naive_after(expression, start.replace(tzinfo=None) + offset)
        if found is None:
            return None
        due = (found - offset).replace(tzinfo=UTC)
        change = _first_change(zone, start, due)
        if change is None:
            return due
        # The first minute of the next stretch may itself be due.
        start = change - timedelta(microseconds=1)
        offset = _offset(zone, change)
        found = _naive_after(expression, start.replace(tzinfo=None) + offset)
        if found is not None and found - offset == change.replace(tzinfo=None):
            return change
        start = change


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _first_change(zone: ZoneInfo, start: datetime, end: datetime) -> datetime | None:
    """The first change of offset with `start < change <= end`, to the second."""
    before, offset = start, _offset(zone, start)
    while before < end:
        probe = min(before + _DAY, end)
        if _offset(zone, probe) != offset:
            return _change_between(zone, before, probe)
        before = probe
    return None


def _change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    offset = _offset(zone, before)
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle <= before:
            break
        if _offset(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Consecutive slots: the first, the last, and how many."""

    first: datetime
    last: datetime
    count: int


def stretch(schedule: Schedule, after: datetime, until: datetime) -> Stretch | None:
    """All slots with `after < t <= until`, or None; a year of minutes takes milliseconds."""
    first = first_after(schedule, after)
    if first is None or first > until:
        return None
    last = last_slot(schedule, after, until)
    assert last is not None, "the first slot is also one before the end"
    return Stretch(first=first, last=last, count=count_slots(schedule, after, until))


def last_slot(schedule: Schedule, after: datetime, until: datetime) -> datetime | None:
    """The newest slot with `after < t <= until`, or None."""
    window = timedelta(hours=1)
    while True:
        begin = max(after, until - window)
        found = first_after(schedule, begin)
        if found is not None and found <= until:
            return slots(schedule, begin, until, 1_000_000)[-1]
        if begin == after:
            return None
        window *= 24


def count_slots(schedule: Schedule, after: datetime, until: datetime) -> int:
    """How many slots have `after < t <= until`."""
    if schedule.cron is None or until - after < timedelta(days=3):
        return (
            len(slots(schedule, after, until, 1_000_000))
            if not schedule.every
            else _strides(schedule, after, until)
        )
    begin = (
        max(after, schedule.start_at - timedelta(microseconds=1)) if schedule.start_at else after
    )
    end = min(until, schedule.end_at - timedelta(microseconds=1)) if schedule.end_at else until
    zone = _zone(schedule.timezone)
    midnight = _midnight_after(begin, zone)
    total = len(slots(schedule, begin, min(_instant_before(midnight, zone), end), 10_000))
    day_holds = _day_counter(expand(schedule.cron))
    while True:
        start, following = _instant_before(midnight, zone), midnight + _DAY
        stop = _instant_before(following, zone)
        if stop > end:
            return total + len(slots(schedule, start, end, 10_000))
        if stop - start == _DAY and _offset(zone, start) == _offset(zone, stop):
            total += day_holds(midnight)
        else:
            total += len(slots(schedule, start, stop, 10_000))
        midnight = following


def _strides(schedule: Schedule, after: datetime, until: datetime) -> int:
    length = schedule.every
    first = first_after(schedule, after)
    assert length is not None
    if first is None or first > until:
        return 0
    end = until
    if schedule.end_at is not None and schedule.end_at <= until:
        end = schedule.end_at - timedelta(microseconds=1)
    return (end - first) // length + 1


def _day_counter(expression: str) -> Callable[[datetime], int]:
    """How many slots an ordinary day (given by its midnight on the wall) holds."""
    each_day = len(list(_within_a_day(expression)))
    rest = expression.split()[2:]
    days = " ".join(["0", "0", *rest])

    def holds(midnight: datetime) -> int:
        found = _naive_after(days, midnight - timedelta(seconds=1))
        return each_day if found == midnight else 0

    return holds


def _within_a_day(expression: str) -> Iterator[datetime]:
    minute, hour = expression.split()[:2]
    day = datetime(2001, 1, 1)  # noqa: DTZ001  a wall without a zone
    for found in CronSim(f"{minute} {hour} * * *", day - timedelta(seconds=1)):
        if found >= day + _DAY:
            return
        yield found


def _midnight_after(instant: datetime, zone: ZoneInfo) -> datetime:
    local = instant.astimezone(zone).replace(tzinfo=None)
    return local.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY


def _instant_before(wall: datetime, zone: ZoneInfo) -> datetime:
    """Just before a wall-clock midnight: a stretch that ends here holds no slot of that day."""
    return _instant_of_slot(wall, zone) - timedelta(microseconds=1)
