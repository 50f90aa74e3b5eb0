"""Schedules against a calendar that walks every minute: all changes of sixty zones, 2000-2037."""

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from figures import Figures
from scale import scaled
from walked_calendar import HOUR, changes, due, every, walk

from amodal_rt.domain import schedule
from amodal_rt.domain.trigger import Schedule

ZONES = (
    "UTC", "Europe/Berlin", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Athens",
    "Europe/Istanbul", "Europe/Moscow", "Europe/Samara", "Europe/Volgograd", "Europe/Chisinau",
    "Europe/Simferopol", "Atlantic/Azores", "Atlantic/Stanley", "America/New_York",
    "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles",
    "America/Anchorage", "America/Adak", "America/St_Johns", "America/Halifax", "America/Havana",
    "America/Caracas", "America/Sao_Paulo", "America/Santiago", "America/Asuncion",
    "America/Argentina/San_Luis", "America/Nuuk", "America/Scoresbysund", "America/Mexico_City",
    "America/Tijuana", "America/Port-au-Prince", "Africa/Cairo", "Africa/Casablanca",
    "Africa/Juba", "Africa/Windhoek", "Africa/Tunis", "Africa/Sao_Tome", "Asia/Beirut",
    "Asia/Gaza", "Asia/Jerusalem", "Asia/Amman", "Asia/Damascus", "Asia/Tehran", "Asia/Kabul",
    "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Pyongyang", "Asia/Ulaanbaatar",
    "Australia/Lord_Howe", "Australia/Sydney", "Australia/Adelaide", "Antarctica/Troll",
    "Antarctica/Casey", "Pacific/Apia", "Pacific/Chatham", "Pacific/Fiji",
)  # fmt: skip
EXPRESSIONS = (
    "*/30 * * * *",
    "15 * * * *",
    "*/20 2 * * *",
    "30 2 * * *",
    "0 0 * * *",
    "0,30 0-3,23 * * *",
    "30 1 13 * 5",
    "10 2,3 28-31 3,10 *",
)
YEARS = range(2000, 2038)
EVERY_NTH = scaled(ci=4, full=1, soak=1)
"""Of the changes of a zone; which of them begins is drawn."""
AROUND = 15 * HOUR


@pytest.mark.parametrize("part", range(4))
def test_slots_around_the_changes_of_sixty_zones(part: int, rng: Random, figures: Figures) -> None:
    mismatches: list[object] = []
    for name in ZONES[part::4]:
        found = changes(name, YEARS) or [datetime(2026, 2, 28, 12, tzinfo=UTC)]
        chosen = found[rng.randrange(min(EVERY_NTH, len(found))) :: EVERY_NTH]
        for change in chosen:
            mismatches += _differences(name, change, figures)
        figures.add("zones")
        figures.add("transitions", len(chosen))
    figures.add("mismatches", len(mismatches))
    figures.note("expressions", len(EXPRESSIONS))
    assert mismatches == []


def _differences(name: str, change: datetime, figures: Figures) -> list[object]:
    walked = walk(ZoneInfo(name), change - AROUND, change + AROUND)
    differing: list[object] = []
    for expression in EXPRESSIONS:
        zoned = Schedule(cron=expression, timezone=name)
        expected = due(expression, walked)
        figures.add("compared_slots", len(expected))
        found = schedule.slots(zoned, walked.start, walked.end, 10_000)
        counted = schedule.count_slots(zoned, walked.start, walked.end)
        last = schedule.last_slot(zoned, walked.start, walked.end)
        first = schedule.first_after(zoned, walked.start)
        same_first = first == expected[0] if expected else first is None or first > walked.end
        right = found == expected and counted == len(expected)
        if not (right and same_first and last == (expected[-1] if expected else None)):
            differing.append((name, change, expression, expected, found, counted, last, first))
    return differing


def test_intervals_count_elapsed_time(rng: Random, figures: Figures) -> None:
    mismatches = 0
    for _ in range(scaled(ci=300, full=1_000, soak=20_000)):
        length = timedelta(minutes=rng.choice((1, 7, 15, 60, 90, 300, 1_440, 10_000)))
        begun = None
        if rng.random() < 0.5:
            minutes = timedelta(minutes=rng.randrange(4_000_000))
            begun = datetime(2020, 1, 1, tzinfo=UTC) + minutes
        # Without a start they count from the epoch, before which nobody looks.
        start_at, earliest = (begun, -2_000) if begun else (datetime(1970, 1, 1, tzinfo=UTC), 0)
        minutes = timedelta(minutes=rng.randrange(earliest, 900_000), seconds=rng.random())
        after = start_at + minutes
        until = after + min(timedelta(days=rng.randrange(1, 40)), 500 * length)
        what = Schedule(every=length, start_at=begun)
        expected = every(length, start_at, after, until)
        mismatches += schedule.slots(what, after, until, 100_000) != expected
        mismatches += schedule.count_slots(what, after, until) != len(expected)
    figures.add("mismatches", mismatches)
    assert mismatches == 0
