"""Standard cron: what an expression says of the wall clock, and what that is in a zone.

`cronsim` reads expressions and judges days, as Debian's cron does. Minutes and zones are
counted here, so that a year of minutes is arithmetic and not half a million steps.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from amodal_rt.errors import InvalidError

_TICK = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_ANY_DAY = datetime(2000, 1, 1)  # noqa: DTZ001  a wall without a zone
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
_NUMBER = re.compile(r"[0-9]{1,9}")


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
        next(CronSim(text, _ANY_DAY))
    except (CronSimError, StopIteration):
        raise ScheduleError(f"{text} is never due: no month of the year has that day") from None


def _parse_field(field: str, name: str, low: int, high: int, words: tuple[str, ...]) -> None:
    for term in field.split(","):
        match = re.fullmatch(r"(\*|[^-/*]+(?:-[^-/*]+)?)(?:/(.+))?", term)
        if match is None:
            raise ScheduleError(f"{name}: {term!r} is not a value, a range or a step")
        span, step = match.groups()
        if step is not None and (not _NUMBER.fullmatch(step) or int(step) == 0):
            raise ScheduleError(f"{name}: the step in {term!r} must be a whole number above 0")
        if span == "*":
            continue
        bounds = [_value(part, name, low, high, words) for part in span.split("-")]
        if len(bounds) == 2 and bounds[0] > bounds[1]:
            hint = "Sunday at the end of a range is 7" if words is _WEEKDAYS else None
            raise ScheduleError(f"{name}: the range {span} runs backwards", hint=hint)


def _value(part: str, name: str, low: int, high: int, words: tuple[str, ...]) -> int:
    if part.upper() in words:
        return words.index(part.upper()) + low
    if not _NUMBER.fullmatch(part):
        special = set(part.upper()) & set("LW#?")
        hint = f"{', '.join(sorted(special))} belong to other schedulers" if special else None
        allowed = f"{low} to {high}" + (f" or {words[0]} to {words[-1]}" if words else "")
        raise ScheduleError(f"{name}: {part!r} is not {allowed}", hint=hint)
    value = int(part)
    if not low <= value <= high:
        raise ScheduleError(f"{name} {value} does not exist", hint=f"{low} to {high}")
    return value


class Pattern:
    """The wall-clock minutes that an expression names, in a world without zones.

    All ranges are `low < minute <= high`, of naive wall-clock times.
    """

    def __init__(self, expression: str) -> None:
        self._sim = CronSim(expression, _ANY_DAY)
        self._minutes = [
            timedelta(hours=hour, minutes=minute)
            for hour in sorted(self._sim.hours)
            for minute in sorted(self._sim.minutes)
        ]
        minute, hour = expression.split()[:2]
        self.repeats = minute.startswith("*") or hour.startswith("*")

    def minutes(self, low: datetime, high: datetime) -> Iterator[datetime]:
        """Each of them, in order."""
        for day in self._days(low.date(), high.date()):
            midnight = datetime.combine(day, time())
            first, end = self._part(midnight, low, high)
            for minute in self._minutes[first:end]:
                yield midnight + minute

    def last(self, low: datetime, high: datetime) -> datetime | None:
        """The newest of them, or None."""
        day = high.date()
        while day >= low.date():
            if day.month in self._sim.months and self._sim.match_day(day):
                midnight = datetime.combine(day, time())
                first, end = self._part(midnight, low, high)
                if first < end:
                    return midnight + self._minutes[end - 1]
            day -= _DAY
        return None

    def count(self, low: datetime, high: datetime) -> int:
        """How many."""
        total = 0
        for day in self._days(low.date(), high.date()):
            first, end = self._part(datetime.combine(day, time()), low, high)
            total += max(end - first, 0)
        return total

    def _part(self, midnight: datetime, low: datetime, high: datetime) -> tuple[int, int]:
        """Which of the day's minutes lie between the bounds."""
        first = bisect_right(self._minutes, low - midnight) if low >= midnight else 0
        ends_later = high >= midnight + _DAY
        end = len(self._minutes) if ends_later else bisect_right(self._minutes, high - midnight)
        return first, end

    def _days(self, first: date, last: date) -> Iterator[date]:
        day = first
        while day <= last:
            if day.month not in self._sim.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            if self._sim.match_day(day):
                yield day
            day += _DAY


@dataclass(frozen=True, slots=True)
class _Span:
    """A time in which the wall clock runs evenly: `low < wall <= high`, wall = UTC + offset.

    `at_start` is the instant at which a slot is due that fell in the gap before.
    """

    low: datetime
    high: datetime
    offset: timedelta
    at_start: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Change:
    """At `at` the offset turns from `before` to `after`; equal ones change nothing."""

    at: datetime
    before: timedelta
    after: timedelta


class ZonedCron:
    """An expression in a zone. All ranges are `after < due <= until`, of aware UTC instants.

    Where the minute or hour field begins with `*`, every matching wall-clock minute is due,
    both times of a repeated hour, none in a gap. Otherwise each local slot is due once: the
    first of a repeat, and slots in a gap together at its end.
    """

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        self._pattern = Pattern(expression)
        self._zone = zone

    def due(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Each due instant, in order."""
        for span in self._spans(after, until):
            if span.at_start is not None:
                yield span.at_start
            for wall in self._pattern.minutes(span.low, span.high):
                yield (wall - span.offset).replace(tzinfo=UTC)

    def last(self, after: datetime, until: datetime) -> datetime | None:
        """The newest due instant, or None."""
        for span in reversed(list(self._spans(after, until))):
            wall = self._pattern.last(span.low, span.high)
            if wall is not None:
                return (wall - span.offset).replace(tzinfo=UTC)
            if span.at_start is not None:
                return span.at_start
        return None

    def count(self, after: datetime, until: datetime) -> int:
        """How many instants are due."""
        return sum(
            self._pattern.count(span.low, span.high) + (span.at_start is not None)
            for span in self._spans(after, until)
        )

    def _spans(self, after: datetime, until: datetime) -> Iterator[_Span]:
        if after >= until:
            return
        offset = _offset(self._zone, after)
        low = _wall(after, offset)
        at_start: datetime | None = None
        # What repeats now may have been due before `after`: a change counts for two days,
        # since none turns the wall back by more than one.
        for change in _changes(self._zone, after - 2 * _DAY, until):
            if change.at > after:
                yield _Span(low, _wall(change.at, offset) - _TICK, offset, at_start)
                low, at_start = _wall(change.at, change.after) - _TICK, None
            offset = change.after
            if not self._pattern.repeats:
                covered = _wall(change.at, change.before) - _TICK
                if change.at > after and self._skips(covered, low):
                    at_start, low = change.at, low + _TICK
                low = max(low, covered)
        yield _Span(low, _wall(until, offset), offset, at_start)

    def _skips(self, low: datetime, high: datetime) -> bool:
        """Whether a slot fell in the gap between these two readings of the wall clock."""
        return next(self._pattern.minutes(low, high), None) is not None


@lru_cache(maxsize=16_384)
def zoned(expression: str, timezone: str) -> ZonedCron:
    """The expression (expanded and checked) in a zone that exists."""
    return ZonedCron(expression, ZoneInfo(timezone))


def _wall(instant: datetime, offset: timedelta) -> datetime:
    return instant.replace(tzinfo=None) + offset


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _changes(zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[_Change]:
    """Changes with `since < at <= until`, and each new year as one that changes nothing.

    The years make it possible to look ahead without looking up all changes of a lifetime.
    """
    for year in range(since.year, until.year + 1):
        for change in _changes_of(zone, year):
            if since < change.at <= until:
                yield change


@lru_cache(maxsize=8192)
def _changes_of(zone: ZoneInfo, year: int) -> tuple[_Change, ...]:
    """The year's beginning, then its changes. No zone changes twice within a day."""
    before = datetime(year, 1, 1, tzinfo=UTC)
    offset = _offset(zone, before)
    found = [_Change(before, _offset(zone, before - timedelta(seconds=1)), offset)]
    for _ in range(366):
        probe = before + _DAY
        after = _offset(zone, probe)
        if after != offset:
            at = _change_between(zone, before, probe)
            if at.year == year:
                found.append(_Change(at, offset, after))
        before, offset = probe, after
    return tuple(found)


def _change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """To the second, as the zone's own tables."""
    offset = _offset(zone, before)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if _offset(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after
