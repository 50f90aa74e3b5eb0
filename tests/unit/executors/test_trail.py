"""What a journal says of the nodes of a run."""

from datetime import UTC, datetime
from typing import Any

from amodal_rt.domain.journal import Entry, EntryType, open_approval, waited_last
from amodal_rt.domain.run import Usage
from amodal_rt.executors.workflow.trail import Trail

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
ASKED = {"node": "ask", "reason": "awaiting_approval"}


def entry(
    type: EntryType, step: str | None = None, parent: str | None = None, **data: Any
) -> Entry:
    return Entry(run_id="r", sequence=1, type=type, at=AT, step=step, parent=parent, data=data)


def test_a_failure_that_is_tried_again_is_no_end() -> None:
    first = entry(EntryType.NODE_FAILED, "a", error="no", attempt=1, retry_at="…")
    trail = Trail([first, entry(EntryType.NODE_FAILED, "b", error="no", next=None)])

    assert (trail.node("a").tries, trail.node("a").failed) == (1, None)
    assert trail.node("b").failed == {"error": "no", "next": None}


def test_only_the_node_that_waited_has_waited() -> None:
    trail = Trail(
        [
            entry(EntryType.NODE_WAITING, "a", reason="waiting"),
            entry(EntryType.RUN_WAITING, reason="waiting"),
            entry(EntryType.NODE_FINISHED, "a", value=None),
            entry(EntryType.NODE_WAITING, "b", reason="waiting"),
        ]
    )

    assert (trail.node("a").parked, trail.node("b").parked) == (True, False)


def test_what_agents_used_and_wrote_is_counted_over_all_nodes() -> None:
    usage = Usage(input_tokens=3, output_tokens=2, turns=1, cost_usd=0.5).document()
    trail = Trail(
        [
            entry(EntryType.WRITE_FINISHED, "a/request", "a"),
            entry(EntryType.WRITE_FAILED, "a~2/request", "a~2"),
            entry(EntryType.WRITE_FINISHED, "ab/request", "ab"),
            entry(EntryType.NODE_FAILED, "a", error="x", usage=usage, model="m:a", retry_at="…"),
            entry(EntryType.NODE_FINISHED, "ab", usage=usage, model="m:b"),
        ]
    )

    assert trail.used == Usage(input_tokens=6, output_tokens=4, turns=2, cost_usd=1.0)
    assert (trail.writes, trail.writes_below("a"), trail.model) == (3, 2, "m:b")


def test_a_question_is_open_until_it_is_answered_or_over() -> None:
    asked = entry(EntryType.NODE_WAITING, "ask", **ASKED)
    waits = entry(EntryType.NODE_WAITING, "pause", reason="waiting")

    assert open_approval([asked, entry(EntryType.RUN_WAITING)]) == asked
    assert open_approval([asked, entry(EntryType.APPROVAL_ANSWERED, "ask")]) is None
    assert open_approval([asked, entry(EntryType.NODE_FINISHED, "ask")]) is None
    assert open_approval([asked, entry(EntryType.NODE_FINISHED, "other")]) == asked
    assert open_approval([asked, waits]) is None


def test_only_what_did_nothing_since_it_waited_has_just_woken() -> None:
    waited, began = entry(EntryType.RUN_WAITING), entry(EntryType.RUN_STARTED)

    assert waited_last([waited])
    assert waited_last([waited, entry(EntryType.APPROVAL_ANSWERED), began])
    assert not waited_last([waited, began, entry(EntryType.NODE_STARTED, "a")])
    assert not waited_last([began])
    assert not waited_last([])
