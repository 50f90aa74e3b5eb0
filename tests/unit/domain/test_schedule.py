"""What schedules mean, by hand-written instants; a calendar walked minute by minute is in
tests/integration/test_schedule_oracle.py."""

from datetime import UTC, datetime, timedelta

import pytest

from amodal_rt.domain import schedule
from amodal_rt.domain.trigger import Schedule

MINUTE = timedelta(minutes=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "until", "expected"),
    [
        # 29 March 2026, 02:00 becomes 03:00: what fell in the gap is due at its end, once.
        ("30 2 * * *", "2026-03-29T00:00", "2026-03-29T23:00", ["01:00"]),
        ("15,45 2,3 * * *", "2026-03-29T00:00", "2026-03-29T23:00", ["01:00", "01:15", "01:45"]),
        ("0 3 * * *", "2026-03-29T00:00", "2026-03-29T23:00", ["01:00"]),
        # … but a star in minute or hour names the minutes of the wall, and those do not exist.
        ("*/30 2 * * *", "2026-03-29T00:00", "2026-03-29T23:00", []),
        ("30 * * * *", "2026-03-29T00:00", "2026-03-29T02:00", ["00:30", "01:30"]),
        # 25 October 2026, 03:00 becomes 02:00: the first of the two.
        ("30 2 * * *", "2026-10-25T00:00", "2026-10-25T23:00", ["00:30"]),
        ("30 2 * * *", "2026-10-25T01:00", "2026-10-25T23:00", []),
        ("*/30 2 * * *", "2026-10-24T23:00", "2026-10-25T01:00", ["00:00", "00:30", "01:00"]),
        ("30 * * * *", "2026-10-25T00:00", "2026-10-25T02:00", ["00:30", "01:30"]),
        # Standard cron, where APScheduler's own parser differs.
        ("0 9 * * 1", "2026-03-01T00:00", "2026-03-08T00:00", ["08:00"]),
        ("0 9 13 * 5", "2026-03-10T00:00", "2026-03-21T00:00", ["08:00", "08:00"]),
        ("0 9 */2 * 5", "2026-03-10T00:00", "2026-03-21T00:00", ["08:00"]),
    ],
)  # fmt: skip
def test_slots_in_berlin(expression: str, after: str, until: str, expected: list[str]) -> None:
    zoned = Schedule(cron=expression, timezone="Europe/Berlin")

    found = schedule.slots(zoned, at(after), at(until), 99)

    assert [f"{each:%H:%M}" for each in found] == expected
    assert schedule.count_slots(zoned, at(after), at(until)) == len(expected)
    assert schedule.last_slot(zoned, at(after), at(until)) == (found[-1] if found else None)


def test_a_day_that_a_zone_left_out_is_due_when_the_next_begins() -> None:
    """Apia had no 30 December 2011: its nine o'clock falls at the first instant of the 31st."""
    zoned = Schedule(cron="0 9 * * *", timezone="Pacific/Apia")

    found = schedule.slots(zoned, at("2011-12-29T00:00"), at("2011-12-31T12:00"), 9)

    assert found == [at("2011-12-29T19:00"), at("2011-12-30T10:00"), at("2011-12-30T19:00")]


def test_a_new_year_that_begins_twice_is_one() -> None:
    """Dhaka went back from midnight to 23:00 in the night to 1 January 2010."""
    zoned = Schedule(cron="45 23 31 12 *", timezone="Asia/Dhaka")

    found = schedule.slots(zoned, at("2009-12-31T12:00"), at("2010-01-01T12:00"), 9)

    assert found == [at("2009-12-31T16:45")]


@pytest.mark.parametrize("expression", ["* * * * *", "0-59 0-23 * * *"])
def test_four_hundred_days_of_minutes_are_counted_without_walking_them(expression: str) -> None:
    end = at("2026-11-20T12:00")
    zoned = Schedule(cron=expression, timezone="Europe/Berlin")

    whole = schedule.stretch(zoned, end - timedelta(days=400), end)

    assert whole is not None
    assert (whole.first, whole.last) == (end - timedelta(days=400) + MINUTE, end)
    # Two repeated hours and one missing: only what is due once per local slot loses the repeats,
    # and a gap's sixty slots are the one at its end.
    assert whole.count == 400 * 24 * 60 - (0 if expression.startswith("*") else 120)


def test_a_schedule_that_ended_long_ago_has_its_last_slot_before_the_end() -> None:
    ended = Schedule(cron="* * * * *", end_at=at("2026-01-01T00:00"))

    assert schedule.last_slot(ended, at("2025-10-01T00:00"), at("2026-11-20T00:00")) == at(
        "2025-12-31T23:59"
    )


def test_strides_are_counted_without_walking_them() -> None:
    strides = Schedule(every=timedelta(minutes=1), start_at=at("2020-01-01T00:00"))

    whole = schedule.stretch(strides, at("2019-01-01T00:00"), at("2026-01-01T00:00"))

    assert whole is not None
    assert whole.first == at("2020-01-01T00:00")
    assert whole.last == at("2026-01-01T00:00")
    assert whole.count == 2192 * 24 * 60 + 1


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
    nine = at("2026-03-02T09:00")

    assert schedule.first_after(Schedule(at=nine), nine - MINUTE) == nine
    assert schedule.first_after(Schedule(at=nine), nine) is None


def test_a_fingerprint_changes_with_the_meaning_alone() -> None:
    one = Schedule(cron="@daily", timezone="UTC")

    assert schedule.fingerprint(one) == schedule.fingerprint(Schedule(cron="0 0  * * *"))
    assert schedule.fingerprint(one) != schedule.fingerprint(
        Schedule(cron="@daily", timezone="Europe/Berlin")
    )


def test_descriptions_are_the_words_of_the_file() -> None:
    nine = at("2026-03-02T09:00")
    shown = [
        schedule.describe(each)
        for each in (
            Schedule(cron="0 9 * * 1-5"),
            Schedule(every=timedelta(minutes=15)),
            Schedule(every=timedelta(seconds=90)),
            Schedule(at=nine),
        )
    ]

    assert shown == ["0 9 * * 1-5", "every 15m", "every 90s", "at 2026-03-02T09:00:00Z"]
