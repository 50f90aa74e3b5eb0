"""The head of the record in the log."""

import asyncio
from datetime import timedelta

import pytest

from amodal_rt.daemon.recording import HeadLog
from amodal_rt.domain.chain import Head
from amodal_rt.ports import Caller
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger import MemoryLedger


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        vars(each)["fields"]["head"] for each in caplog.records if each.getMessage() == "audit.head"
    ]


async def test_the_head_is_told_at_the_start_every_day_and_at_the_stop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "amodal_rt")
    clock = FakeClock()
    ledger = MemoryLedger(clock=clock)
    log = HeadLog(ledger, clock=clock)
    heads: list[Head] = []

    async def act() -> None:
        await ledger.audit(
            "a", subject="s", caller=Caller(actor="ada", door="cli"), at=clock.now(), data={}
        )
        heads.append(await ledger.head())

    await act()
    task = asyncio.create_task(log.run())
    await clock.settle()
    for _ in range(2):
        await act()
        await clock.advance(timedelta(days=1).total_seconds())
    await act()
    await log.tell()
    task.cancel()

    assert _told(caplog) == [str(each) for each in heads]
    assert len(set(heads)) == 4


async def test_where_nothing_is_on_record_there_is_nothing_to_keep(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "amodal_rt")
    clock = FakeClock()

    await HeadLog(MemoryLedger(clock=clock), clock=clock).tell()

    assert _told(caplog) == []


async def test_a_ledger_that_is_away_costs_the_line_and_not_the_daemon(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "amodal_rt")
    clock = FakeClock()
    ledger = MemoryLedger(clock=clock)
    ledger.faults.away = True

    await HeadLog(ledger, clock=clock).tell()

    assert _told(caplog) == []
    assert "audit.head_unknown" in [each.getMessage() for each in caplog.records]
