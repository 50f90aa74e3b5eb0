"""What keeps a server from watching is shown where a person looks for an automation."""

from datetime import UTC, datetime

from amodal_rt.domain.connection import Connection, McpServer, Protocol
from amodal_rt.domain.remote_trigger import RemoteState
from amodal_rt.domain.workspace import AutomationState
from amodal_rt.operations.watched import noted, noted_in_full
from amodal_rt.triggers.registrations import Registration
from amodal_rt.triggers.remote_standing import RemoteStanding

STATE = AutomationState(name="sort", file="automations/sort.json", definition=None)
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ROW: dict[str, object] = {"name": "sort", "status": "active", "reason": None}


def standing(state: RemoteState | None, error: str | None = None) -> RemoteStanding:
    server = McpServer(url="https://mcp.example/mcp")
    return RemoteStanding(
        registration=Registration(
            place=("sort", "k"),
            automations=("sort",),
            connection=Connection(name="notes", protocol=Protocol.MCP, hash="h", mcp=server),
            type="item.created",
            params={"list": "inbox"},
        ),
        state=state,
        error=error,
        configured_at=NINE,
        retry_at=NINE if error else None,
    )


def test_a_row_says_why_nobody_watches() -> None:
    found = noted(ROW, [standing(RemoteState.ACTIVE), standing(RemoteState.FAILED, "it said no")])

    assert found["reason"] == "notes.item.created (list: inbox) is not watched for: it said no"


def test_a_row_says_nothing_while_all_is_well_and_keeps_what_it_says_already() -> None:
    paused = {**ROW, "status": "paused", "reason": None}
    told = {**ROW, "reason": "tea"}
    failed = [standing(RemoteState.FAILED, "it said no")]

    assert noted(ROW, [standing(RemoteState.ACTIVE)]) == ROW
    assert noted(paused, failed) == paused
    assert noted(told, failed) == told


def test_the_whole_document_has_every_trigger_and_what_is_wrong_among_its_problems() -> None:
    before: dict[str, object] = {**ROW, "problems": [{"code": "other"}]}
    triggers = [standing(RemoteState.ACTIVE), standing(RemoteState.AMBIGUOUS, "no answer")]

    found = noted_in_full(before, triggers, STATE)

    assert found["remote_triggers"] == [
        {
            "event": "notes.item.created",
            "connection": "notes",
            "type": "item.created",
            "params": {"list": "inbox"},
            "state": state,
            "error": error,
            "configured_at": "2026-03-02T09:00:00Z",
            "retry_at": retry,
        }
        for state, error, retry in (
            ("active", None, None),
            ("ambiguous", "no answer", "2026-03-02T09:00:00Z"),
        )
    ]
    problems = found["problems"]
    assert isinstance(problems, list)
    assert [each["code"] for each in problems] == ["other", "trigger_not_registered"]
    assert (
        problems[1]["message"] == "notes.item.created (list: inbox) is not watched for: no answer"
    )
    assert problems[1]["severity"] == "warning"
    assert problems[1]["file"] == "automations/sort.json"
