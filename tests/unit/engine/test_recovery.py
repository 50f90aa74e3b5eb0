"""Which cut-off run begins again, which goes on, and which ends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.engine.recovery import LEAST_SECONDS, Next, rule, seconds_left

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
RUN = Run(
    run_id="run_1",
    automation="job",
    title="Job",
    trigger=TriggerKind.CRON,
    status=RunStatus.RUNNING,
    definition="h",
    created_at=NOW,
)
STARTED, PROMPT, TURN = EntryType.RUN_STARTED, EntryType.PROMPT, EntryType.TURN_STARTED
WRITE = EntryType.WRITE_STARTED


def entries(*types: EntryType, step: str = "call_1", ago: float = 1) -> list[Entry]:
    return [
        Entry(
            run_id="run_1",
            sequence=place,
            type=each,
            at=NOW - timedelta(seconds=ago),
            step=step,
            parent="turn:1",
            data={"tool": "request", "request": "POST /deals", "connection": "crm"},
        )
        for place, each in enumerate(types, start=1)
    ]


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ((), Next.REQUEUE),
        ((STARTED,), Next.REQUEUE),
        ((STARTED, PROMPT), Next.REQUEUE),
        ((STARTED, PROMPT, TURN), Next.RESUME),
        ((STARTED, PROMPT, TURN, EntryType.TURN_FINISHED), Next.RESUME),
        ((STARTED, PROMPT, TURN, EntryType.TOOL_STARTED), Next.RESUME),
        ((STARTED, EntryType.STORE_WRITTEN), Next.RESUME),
        ((STARTED, WRITE), Next.FAIL),
        ((STARTED, WRITE, TURN), Next.FAIL),
        ((STARTED, WRITE, EntryType.WRITE_FINISHED), Next.RESUME),
        ((STARTED, WRITE, EntryType.WRITE_FAILED), Next.RESUME),
        # Nothing of its own yet, but what it goes on from must not begin afresh.
        ((EntryType.RUN_RESUMED, STARTED), Next.RESUME),
    ],
)
def test_what_it_journaled_decides(types: tuple[EntryType, ...], wanted: Next) -> None:
    assert rule(RUN, entries(*types), NOW).next is wanted


def test_of_parallel_writes_the_one_without_outcome_is_named() -> None:
    done = [
        *entries(WRITE, step="call_1"),
        *entries(WRITE, step="call_2"),
        *entries(EntryType.WRITE_FINISHED, step="call_1"),
    ]

    ruling = rule(RUN, done, NOW)

    assert ruling.next is Next.FAIL
    assert "request POST /deals over crm (call_2)" in ruling.error
    assert "not repeated" in ruling.error


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(0, Next.RESUME), (3600, Next.RESUME), (3601, Next.FAIL), (-600, Next.RESUME)],
)
def test_it_goes_on_within_an_hour_of_its_last_sign_of_life(seconds: float, wanted: Next) -> None:
    """A clock that was set back makes nothing old."""
    found = [*entries(STARTED, ago=90_000), *entries(TURN, ago=seconds)]

    ruling = rule(RUN, found, NOW)

    assert ruling.next is wanted
    assert wanted is Next.RESUME or "60 minutes" in ruling.error


@pytest.mark.parametrize(
    ("resumes", "wanted"), [(0, Next.RESUME), (2, Next.RESUME), (3, Next.FAIL)]
)
def test_it_goes_on_three_times(resumes: int, wanted: Next) -> None:
    run = replace(RUN, resumes=resumes, attempt=resumes + 1)

    ruling = rule(run, entries(STARTED, TURN), NOW)

    assert ruling.next is wanted
    assert wanted is Next.RESUME or "3 times" in ruling.error


@pytest.mark.parametrize(("requeues", "wanted"), [(2, Next.REQUEUE), (3, Next.FAIL)])
def test_what_ends_the_process_at_its_first_step_begins_again_three_times(
    requeues: int, wanted: Next
) -> None:
    ruling = rule(replace(RUN, attempt=9), entries(STARTED), NOW, requeues=requeues)

    assert ruling.next is wanted
    if wanted is Next.FAIL:
        assert "4 times in a row before the first step" in ruling.error
        assert "Nothing was done" in ruling.error
        assert "`ops runs replay run_1`" in ruling.error


def at(seconds: float, attempt: int, type: EntryType = TURN) -> Entry:
    when = NOW + timedelta(seconds=seconds)
    return Entry(run_id="run_1", sequence=1, type=type, at=when, attempt=attempt)


@pytest.mark.parametrize(
    ("found", "left"),
    [
        ([], 300),
        ([at(0, 1), at(100, 1)], 200),
        # The half hour between two attempts is nobody's time.
        ([at(0, 1), at(100, 1), at(1900, 1, EntryType.RUN_RESUMED), at(1901, 2), at(1951, 2)], 150),
        ([at(0, 1), at(290, 1)], LEAST_SECONDS),
        # A clock that was set back took no time and gives none.
        ([at(0, 1), at(-900, 1)], 300),
    ],
)
def test_a_resumed_run_has_what_is_left_of_its_time(found: list[Entry], left: float) -> None:
    assert seconds_left(found, timedelta(seconds=300)) == left


def test_a_short_timeout_is_never_made_longer() -> None:
    assert seconds_left([at(0, 1), at(9, 1)], timedelta(seconds=10)) == 10
