"""Retention on PostgreSQL: what the file forgets goes there too, and nothing else."""

import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import older_ledger as older
import pytest
from older_ledger import NOW

sys.path.insert(0, str(Path(__file__).parents[1]))

import postgres_server

from amodal_rt.clock import SystemClock
from amodal_rt.domain.delivery import Plan
from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.ports import ArchivedDefinition, RunFilter, StoreItem
from amodal_rt.storage.postgres import PostgresLedger

DAY = timedelta(days=1)
HISTORY = 90 * DAY
LATER = NOW + HISTORY + DAY
RUNS = 60


@pytest.fixture
def url() -> Iterator[str]:
    with postgres_server.fresh_ledger() as found:
        yield found


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[PostgresLedger]:
    async with PostgresLedger(url, clock=SystemClock()) as opened:
        yield opened


def count(url: str, table: str) -> int:
    database = urlsplit(url).path[1:]
    rows = postgres_server.shared().ask(f"SELECT COUNT(*) FROM {table}", database=database)
    return rows[0][0]


async def carry(ledger: PostgresLedger, name: str, **changed: object) -> None:
    """A run that ended, with an entry in its journal."""
    wish = older.start(name, **changed)
    await ledger.admit([wish])
    (run,) = await ledger.claim(limit=1, overall=1000, now=wish.created_at)
    await ledger.record(run.run_id, EntryType.PROMPT, at=wish.created_at, data={"text": "x"})
    outcome = Outcome(status=RunStatus.COMPLETED, text=name, model="m:m")
    assert await ledger.finish(run, outcome, at=wish.created_at, plan=lambda _: Plan())


async def test_what_is_past_its_retention_goes_with_all_that_hangs_on_it(
    ledger: PostgresLedger, url: str
) -> None:
    event = Event(id="evt_1", type="t", source="s", data=1, time=NOW, received_at=NOW)
    await ledger.accept(event, dedup=DedupKey(endpoint="e", keys=("1",)), starts=[], queue_limit=9)
    await ledger.reject(Rejection(endpoint="e", automation=None, reason="r", at=NOW))
    item = StoreItem(key="k", value=1, updated_at=NOW)
    await ledger.put("s", item, expires_at=NOW + DAY, step=None)
    version = ArchivedDefinition(
        kind="automation", name="digest", hash="old", document="{}", file="f", recorded_at=NOW
    )
    await ledger.record_live([version])
    await ledger.forget_live("automation", "digest")
    for number in range(RUNS):
        at = NOW + timedelta(minutes=number)
        await carry(ledger, f"{number}", scheduled_for=at, schedule_key="cron:0", created_at=at)
    await carry(ledger, "young", created_at=LATER - DAY)

    pruned = await ledger.prune(LATER, history=HISTORY)
    again = await ledger.prune(LATER, history=HISTORY)

    assert pruned.rows > RUNS
    assert again.rows == 0
    assert [run.run_id for run in await ledger.list_runs(RunFilter(limit=1000))] == ["run_young"]
    left = {
        table: count(url, table)
        for table in ("events", "dedup_keys", "rejections", "store_items", "definition_versions")
    }
    assert left == dict.fromkeys(left, 0)
    assert count(url, "journal") == len(await ledger.entries("run_young"))
    assert count(url, "rejection_counts") == 1
