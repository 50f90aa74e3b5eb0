"""What pages say of schedules, times and numbers."""

from datetime import UTC, datetime, timedelta

import pytest

from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.trigger import Schedule
from amodal_rt.servers.dashboard import words

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (Schedule(cron="0 9 * * 1-5"), "At 09:00, Monday through Friday (UTC)"),
        (Schedule(cron="@daily", timezone="Asia/Tokyo"), "At 00:00 (Asia/Tokyo)"),
        (Schedule(cron="*/15 * * * *"), "Every 15 minutes (UTC)"),
        (Schedule(cron="0 17 * * 7"), "At 17:00, only on Sunday (UTC)"),
        (Schedule(every=timedelta(minutes=15)), "Every 15 minutes"),
        (Schedule(every=timedelta(hours=1)), "Every hour"),
        (Schedule(at=NOW), "Once, Mon 2 Mar 08:00:00 UTC"),
    ],
)
def test_a_schedule_is_said_as_people_say_it(schedule: Schedule, said: str) -> None:
    assert words.schedule_in_words(schedule) == said


def test_what_nobody_can_say_is_shown_as_it_is_written() -> None:
    assert words.schedule_in_words(Schedule(cron="odd")) == "odd (UTC)"


def test_an_instant_is_told_on_the_clock_of_its_zone() -> None:
    assert words.instant("2026-03-02T08:00:00Z", "Europe/Berlin") == "Mon 2 Mar 09:00:00 CET"
    assert words.instant(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "now"), (4.6, "in 5 s"), (-90, "2 min ago"), (7200, "in 2 h"), (-200_000, "2 d ago")],
)
def test_how_far_away_it_is(seconds: float, said: str) -> None:
    assert words.distance(NOW + timedelta(seconds=seconds), NOW) == said


def test_success_is_told_of_so_many_runs() -> None:
    good, bad = RunStatus.COMPLETED, RunStatus.FAILED

    assert words.success([good, good, bad]) == (67, 3)
    assert words.success([]) == (0, 0)


def test_a_price_that_nobody_knows_is_not_nothing() -> None:
    assert (words.money(None), words.money(0.0), words.money(0.01234)) == (
        "unknown",
        "$0.0000",
        "$0.0123",
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("awaiting_approval", "waits for a person's answer"),
        ("concurrency_limit", "concurrency limit"),
        ("automations/a_b.json:3: unknown key", "automations/a_b.json:3: unknown key"),
    ],
)
def test_a_reason_is_said_in_words_and_a_sentence_as_it_is(code: str, said: str) -> None:
    assert words.reason(code) == said
