"""Schedules against a calendar that is written a second time, by walking every minute."""

import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from amodal_rt.domain import schedule
from amodal_rt.domain.trigger import Schedule

sys.path.insert(0, str(Path(__file__).parents[1] / "reliability" / "time"))

from walked_calendar import HOUR, MINUTE, Walk, due, walk

ZONES = (
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "America/Asuncion",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Dhaka",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
)
"""Gaps at midnight, half-hour changes, a missing day, a change within the year's last hour."""
YEARS = (2009, 2011, 2015, 2018, 2026)
EXPRESSIONS = (
    "*/30 * * * *",
    "15 * * * *",
    "*/20 2 * * *",
    "30 2 * * *",
    "0 0 * * *",
    "0,30 0-3,23 * * *",
    "0-59 0-23 * * *",
    "0 9 * * 1-5",
    "30 1 13 * 5",
    "5 0 */2 * 1",
    "0 23 * * 7",
    "10 2,3 28-31 3,10 *",
    "0 3 1 * sun",
    "45 23 31 dec *",
)


@cache
def walks(name: str) -> tuple[Walk, ...]:
    """A day and a half around every change of the zone, found hour by hour."""
    zone = ZoneInfo(name)
    found: list[Walk] = []
    for year in YEARS:
        probe = datetime(year, 1, 1, tzinfo=UTC)
        while probe.year == year:
            following = probe + HOUR
            if probe.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
                found.append(walk(zone, probe - 18 * HOUR, following + 18 * HOUR))
            probe = following
    return tuple(found) or (
        walk(zone, datetime(2026, 2, 27, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)),
    )


@pytest.mark.parametrize("name", ZONES)
def test_slots_around_every_change_equal_a_calendar_walked_by_minutes(name: str) -> None:
    assert walks(name)
    for expression in EXPRESSIONS:
        zoned = Schedule(cron=expression, timezone=name)
        for walked in walks(name):
            expected = due(expression, walked)

            found = schedule.slots(zoned, walked.start, walked.end, 10_000)

            assert found == expected, (expression, walked.start)
            assert schedule.count_slots(zoned, walked.start, walked.end) == len(expected)
            assert schedule.last_slot(zoned, walked.start, walked.end) == (
                expected[-1] if expected else None
            )


@pytest.mark.parametrize("name", ZONES)
def test_a_search_may_begin_at_any_minute_around_a_change(name: str) -> None:
    """Begun inside a repeat or at a gap's edge, no slot is lost and none comes twice."""
    for expression in ("*/30 * * * *", "30 2 * * *", "0,30 0-3,23 * * *"):
        zoned = Schedule(cron=expression, timezone=name)
        for walked in walks(name)[-2:]:
            expected = due(expression, walked)
            begin = walked.start
            while begin < walked.end - 12 * HOUR:
                following = next((each for each in expected if each > begin), None)
                if following is not None:
                    assert schedule.first_after(zoned, begin) == following, begin
                begin += 7 * MINUTE


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_years_in_utc_equal_cronsims_own_walk(expression: str) -> None:
    start, end = datetime(2023, 12, 30, 12, 7, tzinfo=UTC), datetime(2024, 4, 2, tzinfo=UTC)
    expected: list[datetime] = []
    for each in CronSim(expression, start):
        if each > end:
            break
        expected.append(each)

    found = schedule.slots(Schedule(cron=expression), start, end, 1_000_000)

    assert found == expected
    assert schedule.count_slots(Schedule(cron=expression), start, end) == len(expected)


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"])
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_year_is_the_sum_of_its_weeks(name: str, expression: str) -> None:
    """Counting by days gives what stepping from slot to slot gives, wherever it is cut."""
    zoned = Schedule(cron=expression, timezone=name)
    start, end = datetime(2018, 1, 3, 5, 17, tzinfo=UTC), datetime(2019, 1, 3, 5, 17, tzinfo=UTC)
    parts, begin = 0, start
    while begin < end:
        until = min(begin + timedelta(days=6, hours=5, minutes=31), end)
        parts += len(schedule.slots(zoned, begin, until, 20_000))
        begin = until

    assert schedule.count_slots(zoned, start, end) == parts
