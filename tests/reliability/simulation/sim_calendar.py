"""The schedules of the simulations, and their nominal slots by a calendar of our own."""

import sys
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).parents[1] / "time"))

from walked_calendar import Walk, due, every, walk

from amodal_rt.domain.trigger import Schedule

DAY = timedelta(days=1)
STARTS = (
    datetime(2026, 3, 10, 7, 13, tzinfo=UTC),
    datetime(2026, 10, 12, 19, 41, tzinfo=UTC),
    datetime(2027, 12, 20, 0, 0, tzinfo=UTC),
)
"""Two lead over changes of the clock, one over the end of a year."""
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
CRONS = (
    "0 */6 * * *",
    "30 2 * * *",
    "0 9 * * 1-5",
    "15 */4 * * *",
    "0 0,12 * * *",
    "5 1,2,3 * * *",
    "0 1 1,15 * *",
    "10,40 22 * * 6",
)
INTERVALS = (timedelta(hours=5), timedelta(hours=7, minutes=30))
BEFORE, AFTER = 8 * DAY, 90 * DAY
"""How far around its start a simulation's wall clock may stray."""


@dataclass(frozen=True)
class Slots:
    """Nominal slots, in order."""

    all: tuple[datetime, ...]

    def between(self, first: datetime, last: datetime) -> tuple[datetime, ...]:
        """Those in `[first, last]`."""
        return self.all[bisect_left(self.all, first) : bisect_right(self.all, last)]

    def newest(self, at: datetime) -> datetime | None:
        """The last one that is due at `at`."""
        place = bisect_right(self.all, at)
        return self.all[place - 1] if place else None


@cache
def _walked(zone: str, start: datetime) -> Walk:
    return walk(ZoneInfo(zone), start - BEFORE, start + AFTER)


@cache
def slots(schedule: Schedule, start: datetime) -> Slots:
    """The nominal slots around `start`."""
    if schedule.cron is not None:
        return Slots(tuple(due(schedule.cron, _walked(schedule.timezone, start))))
    assert schedule.every is not None
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return Slots(tuple(every(schedule.every, epoch, start - BEFORE, start + AFTER)))
