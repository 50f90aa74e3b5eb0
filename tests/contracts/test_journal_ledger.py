"""`ports.JournalLedger`, sentence by sentence."""

import asyncio

import ledger_values as given
import pytest
from ledger_values import MINUTE, NOW

from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.errors import NotFoundError
from amodal_rt.ports import Ledger


async def test_an_entry_comes_back_as_it_was_recorded(ledger: Ledger) -> None:
    run = await given.running(ledger)

    sequence = await ledger.record(
        run.run_id,
        EntryType.TOOL_STARTED,
        at=NOW + MINUTE,
        attempt=2,
        step="call_1",
        parent="turn:3",
        data={"tool": "request", "args": {"path": "/ü", "n": [1, None]}, "odd": "\ud83d"},
    )

    assert await ledger.entries(run.run_id) == [
        Entry(
            run_id=run.run_id,
            sequence=sequence,
            type=EntryType.TOOL_STARTED,
            at=NOW + MINUTE,
            attempt=2,
            step="call_1",
            parent="turn:3",
            data={"tool": "request", "args": {"path": "/ü", "n": [1, None]}, "odd": "\ud83d"},
        )
    ]


async def test_sequences_count_from_one_without_a_gap_within_each_run(ledger: Ledger) -> None:
    one, two = [await given.running(ledger, name) for name in ("one", "two")]

    recorded = [
        await ledger.record(run.run_id, EntryType.TEXT, at=NOW) for run in (one, two, one, one, two)
    ]

    assert recorded == [1, 1, 2, 3, 2]


async def test_concurrent_entries_leave_no_gap(ledger: Ledger) -> None:
    run = await given.running(ledger)

    recorded = await asyncio.gather(
        *(ledger.record(run.run_id, EntryType.TEXT, at=NOW) for _ in range(200))
    )

    assert sorted(recorded) == list(range(1, 201))
    entries = await ledger.entries(run.run_id)
    assert [entry.sequence for entry in entries] == list(range(1, 201))


async def test_entries_are_those_after_a_sequence_in_order_up_to_the_limit(
    ledger: Ledger,
) -> None:
    run = await given.running(ledger)
    for _ in range(6):
        await ledger.record(run.run_id, EntryType.TEXT, at=NOW)

    assert [entry.sequence for entry in await ledger.entries(run.run_id, after=2, limit=3)] == [
        3,
        4,
        5,
    ]
    assert await ledger.entries(run.run_id, after=6) == []
    assert await ledger.entries("run_none") == []


async def test_an_entry_without_data_has_none(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await ledger.record(run.run_id, EntryType.RUN_STARTED, at=NOW)

    assert [entry.data for entry in await ledger.entries(run.run_id)] == [{}]


async def test_a_run_that_does_not_exist_has_no_journal(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        await ledger.record("run_none", EntryType.TEXT, at=NOW)
