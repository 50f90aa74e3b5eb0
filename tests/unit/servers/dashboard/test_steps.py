"""Entries of a journal as rows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.servers.dashboard.steps import INLINE, SHORT, Step, step_of

CALL = {"connection": "crm", "method": "GET", "endpoint": "/deals"}


def step(type: EntryType, data: dict[str, Any], **keys: Any) -> Step:
    at = datetime(2026, 3, 2, 8, 1, 2, tzinfo=UTC)
    return step_of(Entry(run_id="run_1", sequence=3, type=type, at=at, data=data), **keys)


@pytest.mark.parametrize(
    ("type", "data", "room", "tone", "words"),
    [
        (
            EntryType.TOOL_FINISHED,
            {"tool": "request", "arguments": CALL, "status": 200, "rule": "default"},
            "Tool finished",
            "good",
            "request GET crm /deals → 200",
        ),
        (
            EntryType.TOOL_DENIED,
            {"tool": "request", "arguments": CALL, "reason": "read_only", "rule": "writeEnabled",
             "hint": "set it"},
            "Tool refused",
            "bad",
            "request GET crm /deals · read_only · writeEnabled · set it",
        ),
        (
            EntryType.TURN_FINISHED,
            {"model": "local:small", "calls": [{"tool": "request"}], "text": "I look."},
            "Model finished",
            "good",
            "local:small · calls request · I look.",
        ),
        (EntryType.RUN_FINISHED, {"status": "completed"}, "Run finished", "good", "completed"),
        (EntryType.RUN_FINISHED, {"status": "failed"}, "Run finished", "bad", "failed"),
        (EntryType.RUN_FINISHED, {"status": "cancelled"}, "Run finished", "", "cancelled"),
        (
            EntryType.RUN_WAITING,
            {"reason": "awaiting_approval"},
            "Run waiting",
            "wait",
            "waits for a person's answer",
        ),
        (
            EntryType.NODE_FINISHED,
            {"node": "check", "next": "tell"},
            "Node finished",
            "good",
            "check → tell",
        ),
        (
            EntryType.RUN_TAINTED,
            {"source": "event", "name": "the event's data", "first": True},
            "Run tainted",
            "",
            "by the event's data",
        ),
        (
            EntryType.APPROVAL_ANSWERED,
            {"approved": False, "by": "token:boss", "note": "no"},
            "Approval answered",
            "good",
            "denied by token:boss · no",
        ),
        (
            EntryType.GATE_FINISHED,
            {"open": True, "rule": "3 rows"},
            "Gate finished",
            "good",
            "3 rows",
        ),
    ],
)  # fmt: skip
def test_what_a_row_says(
    type: EntryType, data: dict[str, Any], room: str, tone: str, words: str
) -> None:
    row = step(type, data)

    assert (f"{row.room} {row.what}", row.tone, row.words) == (room, tone, words)
    assert row.at == "08:01:02"


def test_tokens_are_told_of_a_turn() -> None:
    data = {"model": "m", "input_tokens": 1200, "output_tokens": 34}

    assert step(EntryType.TURN_FINISHED, data).tokens == "1,200 in, 34 out"


def test_what_only_resuming_reads_is_not_shown() -> None:
    row = step(EntryType.TURN_FINISHED, {"model": "m", "response": {"secret": 1}})

    assert [each.name for each in row.details] == ["model"]


def test_long_texts_are_cut_and_say_so() -> None:
    data = {"tool": "t", "result": "x" * 10_000, "note": "y" * 10_000}

    row, whole = (
        step(EntryType.TOOL_FINISHED, data),
        step(EntryType.TOOL_FINISHED, data, inline=None),
    )

    assert len(row.words) == SHORT
    assert [(len(each.text), each.missing) for each in row.details[1:]] == [
        (INLINE, 10_000 - INLINE)
    ] * 2
    assert [each.missing for each in whole.details] == [0, 0, 0]
