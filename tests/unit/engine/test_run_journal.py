"""A run's journal while the ledger cannot take it."""

import asyncio
import logging

import pytest

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.engine.run_journal import RunJournal
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger import MemoryLedger


async def test_a_run_that_waits_for_the_disk_says_so_ever_more_rarely_and_then_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "amodal_rt")
    clock = FakeClock()
    ledger = MemoryLedger(clock=clock)
    start = Start(
        run_id="run_1",
        automation="digest",
        title="Digest",
        trigger=TriggerKind.MANUAL,
        definition="d",
        created_at=clock.now(),
        concurrency=3,
        on_limit=OnLimit.QUEUE,
    )
    await ledger.admit([start])
    (run,) = await ledger.claim(limit=1, overall=1, now=clock.now())
    journal = RunJournal(
        run, ledger, signals=ProcessSignals(), clock=clock, mask=str, fenced=lambda: None
    )
    ledger.faults.away = True

    written = asyncio.create_task(journal.record(EntryType.TURN_STARTED))
    for _ in range(120):
        await clock.advance(0.5)
    ledger.faults.away = False
    await clock.advance(0.5)
    await written

    said = [(each.getMessage(), vars(each)["fields"]) for each in caplog.records]
    waits = [fields["times"] for event, fields in said if event == "run.journal_waits"]
    assert waits == [1, 11, 31, 71]
    assert said[-1][0] == "run.journal_resumed"
    assert said[-1][1]["run"] == "run_1"
