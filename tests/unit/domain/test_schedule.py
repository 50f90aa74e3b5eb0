"""When schedules are due, against a calendar that is written a second time, by brute force."""

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from amodal_rt.domain import schedule
from amodal_rt.domain.trigger import Schedule

MINUTE = timedelta(minutes=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Pacific/Apia",
)
EXPRESSIONS = (
    "*/30 * * * *",
    "15 * * * *",
    "*/20 2 * * *",
    "30 2 * * *",
    "0 0 * * *",
    "0,30 1-3 * * *",
    "0 9 * * 1-5",
    "30 1 13 * 5",
    "5 4 */2 * 1",
    "0 23 * * 7",
    "10 2,3 28-31 3,10 *",
    "0 3 1 * sun",
)
WORDS = {"sun": "0"}


@cache
def _field(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for term in text.split(","):
        span, _, step = term.partition("/")
        if span == "*":
            first, last = low, high
        else:
            first, _, end = span.partition("-")
            first, last = int(first), int(end or first)
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def _matches(fields: list[str], wall: datetime) -> bool:
    minute, hour, day, month, weekday = fields
    if wall.minute not in _field(minute, 0, 59):
        return False
    days = wall.day in _field(day, 1, 31)
    isoday = wall.isoweekday()
    on_weekday = bool({isoday, isoday % 7} & _field(weekday, 0, 7))
    both = day.startswith("*") or weekday.startswith("*")
    return (
        wall.hour in _field(hour, 0, 23)
        and wall.month in _field(month, 1, 12)
        and ((days and on_weekday) if both else (days or on_weekday))
    )


def _oracle(expression: str, zone: ZoneInfo, start: datetime, end: datetime) -> list[datetime]:
    """Walks every minute: of UTC where each wall minute counts, else of the wall itself."""
    fields = [WORDS.get(each, each) for each in expression.split()]
    due: set[datetime] = set()
    if fields[0].startswith("*") or fields[1].startswith("*"):
        instant = start
        while instant <= end:
            if _matches(fields, instant.astimezone(zone).replace(tzinfo=None)):
                due.add(instant)
            instant += MINUTE
    else:
        wall = start.astimezone(zone).replace(tzinfo=None) - timedelta(days=2)
        while wall <= end.astimezone(zone).replace(tzinfo=None) + timedelta(days=2):
            if _matches(fields, wall):
                instant = wall.replace(tzinfo=zone).astimezone(UTC)
                if instant.astimezone(zone).replace(tzinfo=None) != wall:
                    instant = _gap_end(wall, zone)
                due.add(instant)
            wall += MINUTE
    return sorted(each for each in due if start < each <= end)


def _gap_end(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first wall minute after `wall` that exists."""
    while wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall:
        wall += MINUTE
    return wall.replace(tzinfo=zone).astimezone(UTC)


WINDOWS = (
    datetime(2026, 3, 6, 12, tzinfo=UTC),
    datetime(2026, 3, 27, 12, tzinfo=UTC),
    datetime(2026, 4, 3, 12, tzinfo=UTC),
    datetime(2026, 10, 2, 12, tzinfo=UTC),
    datetime(2026, 10, 24, 12, tzinfo=UTC),
    datetime(2018, 11, 3, 0, tzinfo=UTC),
    datetime(2011, 12, 29, 0, tzinfo=UTC),
)


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_slots_equal_a_calendar_walked_minute_by_minute(name: str, expression: str) -> None:
    """Every change of offset of the year is inside a window, the skipped day of Apia too."""
    zone = ZoneInfo(name)
    for start in WINDOWS:
        end = start + timedelta(days=3)

        found = schedule.slots(Schedule(cron=expression, timezone=name), start, end, 10_000)

        assert found == _oracle(expression, zone, start, end), start


@pytest.mark.parametrize(
    ("expression", "fragment"),
    [
        ("61 * * * *", "minute 61 does not exist"),
        ("* 24 * * *", "hour 24 does not exist"),
        ("0 0 0 * *", "day of month 0 does not exist"),
        ("0 0 * 13 *", "month 13 does not exist"),
        ("0 0 * * 8", "day of week 8 does not exist"),
        ("* * * * * *", "five fields, not 6"),
        ("* * * *", "five fields, not 4"),
        ("", "five fields, not 0"),
        ("0 0 30 2 *", "never due"),
        ("0 0 31 4,6 *", "never due"),
        ("0 0 L * *", "'L' is not 1 to 31"),
        ("0 0 15W * *", "'15W' is not 1 to 31"),
        ("0 0 * * 5#3", "'5#3' is not 0 to 7"),
        ("0 0 ? * *", "'?' is not 1 to 31"),
        ("0 9 * * mon-frz", "'frz' is not 0 to 7 or SUN to SAT"),
        ("30-10 * * * *", "runs backwards"),
        ("*/0 * * * *", "the step in '*/0'"),
        ("*/x * * * *", "the step in '*/x'"),
        ("1,,2 * * * *", "is not a value"),
        ("@reboot", "@reboot is not a schedule"),
        ("٣ * * * *", "is not 0 to 59"),
    ],
)
def test_what_is_not_cron_is_refused_by_its_field(expression: str, fragment: str) -> None:
    with pytest.raises(schedule.ScheduleError) as caught:
        schedule.parse_cron(expression)

    assert fragment in caught.value.message


@pytest.mark.parametrize(
    "expression", ["@daily", "@Hourly", "0 0 29 2 *", "0 0 1 * MON", "5/15 * * * *"]
)
def test_what_cron_knows_is_accepted(expression: str) -> None:
    schedule.parse_cron(expression)


def test_every_counts_from_its_start_or_the_epoch() -> None:
    after = datetime(2026, 3, 2, 9, 7, tzinfo=UTC)
    start = datetime(2026, 3, 2, 9, 5, tzinfo=UTC)
    length = timedelta(minutes=15)

    assert schedule.first_after(Schedule(every=length), after) == after.replace(minute=15)
    assert schedule.first_after(Schedule(every=length, start_at=start), after) == after.replace(
        minute=20
    )
    assert schedule.first_after(Schedule(every=length, start_at=start), start - length) == start


def test_slots_lie_from_the_start_up_to_before_the_end() -> None:
    start, end = datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 11, tzinfo=UTC)
    bounded = Schedule(cron="0 * * * *", start_at=start, end_at=end)

    found = schedule.slots(bounded, start - timedelta(days=9), end + timedelta(days=9), 99)

    assert found == [start, start + timedelta(hours=1)]


def test_at_is_due_once() -> None:
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)

    assert schedule.first_after(Schedule(at=at), at - MINUTE) == at
    assert schedule.first_after(Schedule(at=at), at) is None


def test_a_fingerprint_changes_with_the_meaning_alone() -> None:
    one = Schedule(cron="@daily", timezone="UTC")

    assert schedule.fingerprint(one) == schedule.fingerprint(Schedule(cron="0 0  * * *"))
    assert schedule.fingerprint(one) != schedule.fingerprint(
        Schedule(cron="@daily", timezone="Europe/Berlin")
    )


def test_descriptions_are_the_words_of_the_file() -> None:
    at = datetime(2026, 3, 2, 9, tzinfo=UTC)
    shown = [
        schedule.describe(each)
        for each in (
            Schedule(cron="0 9 * * 1-5"),
            Schedule(every=timedelta(minutes=15)),
            Schedule(every=timedelta(seconds=90)),
            Schedule(at=at),
        )
    ]

    assert shown == ["0 9 * * 1-5", "every 15m", "every 90s", "at 2026-03-02T09:00:00Z"]
