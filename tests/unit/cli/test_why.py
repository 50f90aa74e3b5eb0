"""`ops automations why` in words."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs import automations
from amodal_rt.cli.verbs.door import Door

ROW: dict[str, Any] = {
    "scheduled_for": None, "scheduled_until": None, "count": 1,
    "event_id": "evt_1", "run_id": "run_2", "status": "pending",
    "reason": None, "rule": None, "definition": "d",
    "waits_for": {
        "reason": "conversation", "rule": "conversationKey: run_1 goes first", "until": None,
        "runs": ["run_1"],
    },
}  # fmt: skip


class Answers:
    """A daemon that answers with one row."""

    def __init__(self, row: dict[str, Any]) -> None:
        self._row = row
        self.asked: list[object] = []

    def get(self, path: str, params: object = None) -> list[dict[str, Any]]:
        self.asked.append(params)
        return [self._row]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "waits: conversationKey: run_1 goes first"),
        (
            {"rule": "catchUp last"},
            "catchUp last; waits: conversationKey: run_1 goes first",
        ),
        ({"rule": "paused", "waits_for": None}, "paused"),
        ({"waits_for": None}, "-"),
    ],
)
def test_the_rule_and_what_a_run_waits_for_stand_in_one_cell(
    capsys: pytest.CaptureFixture[str], changed: dict[str, Any], told: str
) -> None:
    door = Door(Answers({**ROW, **changed}), Output())  # pyright: ignore[reportArgumentType]

    assert automations.why(door, "a", at=None, limit=1) == 0

    assert capsys.readouterr().out.splitlines()[-1].endswith(f"  {told}")


def test_a_row_of_several_slots_names_both_ends_and_their_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    missed = {
        **ROW, "event_id": None, "status": "skipped", "reason": "missed", "rule": "catchUp none",
        "waits_for": None, "scheduled_for": "2026-03-01T09:00:00Z",
        "scheduled_until": "2026-03-01T09:04:00Z", "count": 5,
    }  # fmt: skip
    door = Door(Answers(missed), Output())  # pyright: ignore[reportArgumentType]

    assert automations.why(door, "a", at=None, limit=1) == 0

    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("2026-03-01 09:00:00 to 2026-03-01 09:04:00  run_2")
    assert "skipped/missed ×5" in told


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns"])
def test_a_time_can_be_asked_about_as_it_was_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    slot = {**ROW, "waits_for": None, "scheduled_for": "2026-03-01T09:00:00+00:00"}
    daemon = Answers(slot)
    door = Door(daemon, Output())  # pyright: ignore[reportArgumentType]
    automations.why(door, "a", at=None, limit=1)
    printed = capsys.readouterr().out.splitlines()[-1].split("  ")[0]

    automations.why(door, "a", at=printed, limit=1)
    automations.why(door, "a", at="d3b07384", limit=1)

    monkeypatch.undo()
    time.tzset()
    _, typed, other = daemon.asked
    assert isinstance(typed, dict)
    assert datetime.fromisoformat(typed["at"]) == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert other == {"at": "d3b07384", "limit": "1"}
