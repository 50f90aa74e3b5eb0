"""When a schedule is due, said without a daemon and the same with one."""

import json
from datetime import UTC, datetime

import pytest
from files import Workspace
from outside import Site

NEXT = [
    ("0 9 * * 1-5", "UTC", "2026-03-01T00:00:00Z",
     ["2026-03-02T09:00:00Z", "2026-03-03T09:00:00Z"]),
    ("0 9 * * 1-5", "UTC", "2026-03-02T09:00:00Z",
     ["2026-03-03T09:00:00Z", "2026-03-04T09:00:00Z"]),
    ("0 0 * * 0", "UTC", "2026-03-01T00:00:00Z",
     ["2026-03-08T00:00:00Z", "2026-03-15T00:00:00Z"]),
    ("0 0 * * 7", "UTC", "2026-03-01T00:00:00Z",
     ["2026-03-08T00:00:00Z", "2026-03-15T00:00:00Z"]),
    ("0 0 13 * FRI", "UTC", "2026-03-01T00:00:00Z",
     ["2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z"]),
    ("@daily", "UTC", "2026-03-01T12:00:00Z",
     ["2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"]),
    ("*/20 * * * *", "UTC", "2026-03-01T12:50:00Z",
     ["2026-03-01T13:00:00Z", "2026-03-01T13:20:00Z"]),
    ("0 0 29 2 *", "UTC", "2026-03-01T00:00:00Z",
     ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
    # The last Sunday of March in Berlin has no 02:30; the slot moves to the end of the gap.
    ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z",
     ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
    # The last Sunday of October has two 02:30; a daily slot takes the first.
    ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z",
     ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
    # Every half hour runs in both of them.
    ("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:15:00Z",
     ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"]),
    ("every 15m", "UTC", "2026-03-01T12:07:00Z",
     ["2026-03-01T12:15:00Z", "2026-03-01T12:30:00Z"]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "zone", "start", "times"), NEXT)
def test_next_times_of_an_expression(
    site: Site, expression: str, zone: str, start: str, times: list[str]
) -> None:
    done = site.ops(
        "automations", "next", "--schedule", expression, "--timezone", zone, "--from", start,
        "--count", "2", "--json",
    )  # fmt: skip

    assert done.code == 0, done
    assert done.json() == {"times": times}


@pytest.mark.parametrize(
    "expression",
    ["* * * * * *", "0 0 30 2 *", "0 0 L * *", "0 0 * * 1#2", "0 0 ? * *", "61 * * * *", "x"],
)
def test_what_is_no_cron_expression_is_invalid(site: Site, expression: str) -> None:
    done = site.ops("automations", "next", "--schedule", expression, "--json")

    assert done.code == 3
    assert done.json()["error"]["kind"] == "invalid"


def test_a_zone_that_does_not_exist_is_invalid(site: Site) -> None:
    done = site.ops("automations", "next", "--schedule", "@daily", "--timezone", "Mars/Olympus")

    assert done.code == 3


def test_the_daemon_and_the_command_agree(site: Site) -> None:
    files = Workspace(site.workspace)
    files.automation("berlin", schedule={"cron": "30 6 * * *", "timezone": "Europe/Berlin"})
    files.automation("both", triggers=[
        {"type": "cron", "schedule": "0 5 * * *"}, {"type": "cron", "schedule": {"every": "6h"}},
        {"type": "webhook"},
    ])  # fmt: skip
    site.up()
    rows = {row["name"]: row for row in site.ask("automations", "list")}
    for name in ("berlin", "both"):
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        words = ("automations", "next", name, "--from", now, "--count", "1")
        assert rows[name]["next_run_at"] == site.ask(*words)["times"][0]

    assert rows["both"]["schedule"] == "0 5 * * *; every 6h"
    assert rows["both"]["webhook_url"]


def test_schedules_closer_than_a_minute_are_refused(site: Site) -> None:
    Workspace(site.workspace).automation("hasty", schedule={"every": "30s"})
    done = site.run("amodal-rt", "validate", "--json")

    assert done.code == 3
    assert "60" in json.dumps(done.json()["problems"])
