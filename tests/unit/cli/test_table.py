"""Tables for people."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from amodal_rt.cli import table


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.31, "0.3 s"),
        (125, "2 min 5 s"),
        (3_600, "1 h 0 min"),
        (11_539, "3 h 12 min"),
        (518_453, "6 d 0 h"),
    ],
)
def test_a_run_that_waited_for_days_says_days(value: float, said: str) -> None:
    assert table.seconds(value) == said


def test_columns_line_up_and_nothing_is_cut_when_piped() -> None:
    """A pipe gets every character: `grep` must find what is there."""
    long = "x" * 300

    text = table.render(("A", "B"), [("one", long), ("three", "y")], styled=False)

    assert text.splitlines() == ["A      B", f"one    {long}", "three  y"]


def test_a_terminal_gets_lines_no_longer_than_its_width() -> None:
    text = table.render(("A", "B"), [("one", "x" * 300)], styled=True, width=40)

    shown = text.splitlines()[1]
    assert len(shown) <= 40
    assert shown.endswith("…")


def test_a_narrow_terminal_cuts_no_id_time_or_url() -> None:
    """Who copies half of an id or URL is told that there is no such run or webhook."""
    row = ("run_d1zj9z1cqdp4q1yy", "2026-11-21 05:12:59", "http://127.0.0.1:1/webhooks/auto_1 (x)")

    text = table.render(("Run", "Started", "URL"), [row], styled=True, width=40)

    assert all(cell in text for cell in row)


def test_one_long_url_costs_other_lines_nothing_and_names_stay_whole() -> None:
    heads = ("Name", "Trigger", "Schedule", "Status", "Next Run or Webhook URL")
    cron, soon = "0 9 * * 1-5 Europe/Berlin", "Mon 2026-11-23 09:00 (in 25 h)"
    url = "http://127.0.0.1:3847/webhooks/auto_c9ayft1whpfxk90e (local only, unsigned)"
    rows = [
        ("welcome-new-members", "event thread.member_joined", "-", "active", "-"),
        ("daily-digest-flow", "cron", cron, "active", soon),
        ("echo-hook", "webhook", "-", "active", url),
    ]

    lines = table.render(heads, rows, styled=True, width=80).splitlines()

    plain = [re.sub(r"\x1b\[\d+m", "", line) for line in lines]
    assert [len(line) <= 80 for line in plain] == [True, True, True, False]
    assert plain[1].startswith("welcome-new-members  event t…  ")
    assert plain[2].endswith(soon)
    assert plain[3].endswith(url)


def test_a_cell_cannot_drive_the_terminal() -> None:
    """Names come from files and senders: an escape sequence in one must not reach the screen."""
    text = table.render(("A",), [("\x1b[2J\x1b]0;owned\x07evil\u202e\nsecond",)], styled=False)

    assert text.splitlines()[1] == "evil second"


def test_upcoming_names_the_day_and_how_far_it_is() -> None:
    now = datetime(2026, 3, 1, 19, 0, tzinfo=UTC)

    assert table.upcoming("2026-03-02T09:00:00Z", now=now).endswith("(in 14 h)")


def test_a_span_uses_the_coarsest_unit_that_says_enough() -> None:
    spans = [timedelta(seconds=45), timedelta(minutes=14), timedelta(hours=3), timedelta(days=12)]

    assert [table.span(each) for each in spans] == ["45 s", "14 min", "3 h", "12 d"]


def test_null_is_a_dash() -> None:
    assert (table.text(None), table.instant(None), table.seconds(None)) == ("-", "-", "-")
