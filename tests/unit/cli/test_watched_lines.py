"""What people see of triggers that MCP servers watch for."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs import automations
from amodal_rt.cli.verbs.door import Door

ROW: dict[str, Any] = {
    "name": "sort", "title": "Sort New Notes", "id": "aut_x", "triggers": ["event"],
    "events": ["notes.item.created"], "schedule": None, "timezone": "UTC", "status": "active",
    "reason": None, "stale": False, "signed": None, "next_run_at": None, "webhook_url": None,
    "last_run": None,
}  # fmt: skip
TRIGGER = {
    "event": "notes.item.created", "connection": "notes", "type": "item.created", "params": {},
    "state": "active", "error": None, "configured_at": "2026-03-02T12:00:00Z", "retry_at": None,
}  # fmt: skip
FAILED = {**TRIGGER, "state": "failed", "error": "it said no", "configured_at": None}


class _Daemon:
    """Answers every question with one document."""

    def __init__(self, document: object) -> None:
        self._document = document

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        return self._document

    def post(self, path: str, body: object = None) -> Any:
        return self._document

    def lines(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[Any]:
        return iter(())


def _door(document: object) -> Door:
    return Door(_Daemon(document), Output())


def test_the_list_marks_what_no_server_watches_for(capsys: pytest.CaptureFixture[str]) -> None:
    automations.list_all(_door([ROW, {**ROW, "name": "lost", "reason": "it said no"}]))

    watched, lost = capsys.readouterr().out.splitlines()[1:]
    assert watched.split()[-2:] == ["active", "-"]
    assert "active (not watched for)" in lost


def test_one_automation_says_how_it_stands_with_each_trigger(
    capsys: pytest.CaptureFixture[str],
) -> None:
    automations.show(_door({**ROW, "remote_triggers": [TRIGGER, FAILED]}), "sort")

    said = capsys.readouterr().out
    assert "notes.item.created active since 2026-03-02" in said
    assert "; notes.item.created failed\n" in said


def test_triggers_of_one_event_are_told_apart_by_their_params(
    capsys: pytest.CaptureFixture[str],
) -> None:
    narrower = {**TRIGGER, "params": {"list": "inbox", "n": "3"}}
    automations.show(_door({**ROW, "remote_triggers": [TRIGGER, narrower]}), "sort")

    said = capsys.readouterr().out
    assert "notes.item.created active since" in said
    assert "; notes.item.created (list: inbox, n: 3) active since 2026-03-02" in said
