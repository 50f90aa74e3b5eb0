"""When cron is due, found by walking every minute of a zone: slow, plain, a second opinion.

Knows nothing of the program's own calendar. Where minute or hour begins with `*`, every
matching reading of the wall clock is due, both times of a repeat and none in a gap; else each
reading once: the first of a repeat, the end of the gap that it fell in.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
WORDS = {
    "sun": "0", "mon": "1", "tue": "2", "wed": "3", "thu": "4", "fri": "5", "sat": "6",
    "jan": "1", "mar": "3", "jun": "6", "oct": "10", "dec": "12",
}  # fmt: skip
LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def numbers(text: str, low: int, high: int) -> set[int]:
    """What one field names."""
    found: set[int] = set()
    for term in text.split(","):
        span, _, step = term.partition("/")
        first, _, end = ("*", "", "") if span == "*" else span.partition("-")
        start, stop = (low, high) if first == "*" else (int(first), int(end or first))
        found |= set(range(start, stop + 1, int(step or 1)))
    return found


@cache
def judge(expression: str) -> Callable[[datetime], bool]:
    """Whether a reading of the wall clock is one that the expression names."""
    fields = [WORDS.get(each, each) for each in expression.split()]
    minutes, hours, days, months, weekdays = (
        numbers(field, *limits) for field, limits in zip(fields, LIMITS, strict=True)
    )
    both = fields[2].startswith("*") or fields[4].startswith("*")

    def names(wall: datetime) -> bool:
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        in_month = wall.day in days
        in_week = bool({wall.isoweekday(), wall.isoweekday() % 7} & weekdays)
        return in_month and in_week if both else in_month or in_week

    return names


@dataclass(frozen=True)
class Walk:
    """Every minute of some days of a zone: by instant, and by reading of its wall clock.

    `slots` maps each reading to the instant of its slot: the first of a repeat, the end of
    the gap that it fell in.
    """

    start: datetime
    end: datetime
    instants: tuple[tuple[datetime, datetime], ...]
    slots: tuple[tuple[datetime, datetime], ...]


def walk(zone: ZoneInfo, start: datetime, end: datetime) -> Walk:
    """The minutes in `(start, end]`."""
    instants: list[tuple[datetime, datetime]] = []
    slots: dict[datetime, datetime] = {}
    last = None
    # From a day before, so that a gap or a repeat at the beginning is known for one.
    instant = start - 24 * HOUR
    while instant <= end:
        wall = instant.astimezone(zone).replace(tzinfo=None)
        instants.append((instant, wall))
        if last is not None:
            missing = last + MINUTE
            while missing < wall:
                slots.setdefault(missing, instant)
                missing += MINUTE
        slots.setdefault(wall, instant)
        last, instant = wall, instant + MINUTE
    return Walk(start, end, tuple(instants), tuple(slots.items()))


def changes(name: str, years: Iterable[int]) -> list[datetime]:
    """The hours after which the zone's offset is another, found hour by hour."""
    zone = ZoneInfo(name)
    found: list[datetime] = []
    for year in years:
        probe = datetime(year, 1, 1, tzinfo=UTC)
        offset = probe.astimezone(zone).utcoffset()
        while probe.year == year:
            following = probe + HOUR
            then = following.astimezone(zone).utcoffset()
            if then != offset:
                found.append(probe)
            probe, offset = following, then
    return found


def due(expression: str, walked: Walk) -> list[datetime]:
    """The slots of the walk, in order."""
    names = judge(expression)
    minute, hour = expression.split()[:2]
    if minute.startswith("*") or hour.startswith("*"):
        found = {instant for instant, wall in walked.instants if names(wall)}
    else:
        found = {instant for wall, instant in walked.slots if names(wall)}
    return sorted(each for each in found if walked.start < each <= walked.end)


def every(
    length: timedelta, start_at: datetime, after: datetime, until: datetime
) -> list[datetime]:
    """The slots of an interval in `(after, until]`, counted from `start_at` one by one."""
    slot, found = start_at, list[datetime]()
    if slot <= after:
        slot += (after - slot) // length * length
    while slot <= until:
        if slot > after:
            found.append(slot)
        slot += length
    return found
