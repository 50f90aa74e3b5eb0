"""What a journal says of the questions in it."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from amodal_rt.domain.journal import Entry, EntryType, last_question

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


Told = tuple[EntryType, str | None, Mapping[str, object]]


def _entries(*told: Told) -> list[Entry]:
    return [
        Entry(run_id="run_1", sequence=number, type=type, at=AT, step=step, data=data)
        for number, (type, step, data) in enumerate(told, 1)
    ]


def _asks(step: str) -> Told:
    return EntryType.NODE_WAITING, step, {"reason": "awaiting_approval"}


WAITS = (EntryType.RUN_WAITING, None, {"reason": "awaiting_approval"})
ANSWERED = (EntryType.APPROVAL_ANSWERED, "ask", {"approved": True})
OVER = (EntryType.NODE_FINISHED, "ask", {})
OTHER = (EntryType.NODE_FINISHED, "before", {})
SLEEPS = (EntryType.NODE_WAITING, "nap", {"reason": "waiting"})


@pytest.mark.parametrize(
    ("told", "step", "answered", "closed"),
    [
        ((_asks("ask"), WAITS), "ask", False, False),
        ((_asks("ask"), WAITS, OTHER), "ask", False, False),
        ((_asks("ask"), WAITS, ANSWERED), "ask", True, True),
        ((_asks("ask"), WAITS, ANSWERED, OVER, SLEEPS), "ask", True, True),
        ((_asks("ask"), WAITS, OVER), "ask", False, True),
        ((_asks("ask"), WAITS, ANSWERED, OVER, _asks("ask#2"), WAITS), "ask#2", False, False),
    ],
    ids=["asks", "beside another", "answered", "and slept since", "nobody answered", "asks again"],
)
def test_the_last_question_is_open_until_it_is_answered_or_over(
    told: tuple[Told, ...],
    step: str,
    answered: bool,
    closed: bool,
) -> None:
    found = last_question(_entries(*told))

    assert found is not None
    assert (found.asked.step, found.answer is not None, found.closed) == (step, answered, closed)


def test_a_run_that_only_slept_asked_nothing() -> None:
    assert last_question(_entries(OTHER, SLEEPS)) is None
