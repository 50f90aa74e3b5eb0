"""What SQLite is told, what it looks up, and what is swept."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from amodal_rt.clock import SystemClock
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.run import Coalesce, SkippedReason, Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.ports import DEDUP_RETENTION, Caller, RunFilter, StoreItem
from amodal_rt.storage.dialect import sqlite_driver
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.storage.tables import metadata
from amodal_rt.storage.writer import driver

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
# One row for each life of a daemon within a day: that table may be read whole.
LONG = "|".join(metadata.tables.keys() - {"nodes"})
WALK = re.compile(rf"SCAN ({LONG})$|.*INTEGER PRIMARY KEY \(rowid>")
"""A step of a query plan that reads every row of a table of ours."""


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqliteLedger]:
    async with SqliteLedger(tmp_path / "ledger.db", clock=SystemClock()) as opened:
        yield opened


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("busy_timeout", 5000),
        ("temp_store", 2),
        ("wal_autocheckpoint", 4000),
    ],
)
async def test_the_writer_is_durable_and_strict(
    ledger: SqliteLedger, pragma: str, value: object
) -> None:
    def work(connection: Connection) -> object:
        return driver(connection).execute(f"PRAGMA {pragma}").fetchone()[0]

    assert await ledger._database.write(work) == value


async def test_everyday_questions_never_walk_the_whole_table(ledger: SqliteLedger) -> None:
    """A condition that differs by a word from its index's would: nothing else would tell."""
    asked: list[str] = []

    def trace(connection: Connection) -> None:
        sqlite_driver(connection).set_trace_callback(asked.append)

    await ledger._database.write(trace)
    for _ in range(4):
        # Both readers' connections, whichever is idle.
        await ledger._database.read(trace)
    await ledger.admit([wish(f"a{number}", OnLimit.SKIP) for number in range(30)])
    await ledger.admit([wish("a", OnLimit.SKIP), wish("b", OnLimit.QUEUE, starts_per_hour=5)])
    await ledger.admit([wish("a", OnLimit.SKIP, scheduled_for=NOW, skip=SkippedReason.PAUSED)])
    key = DedupKey(endpoint="e", keys=("k",))
    for number in range(2):
        await ledger.accept(delivery(number, NOW), dedup=key, starts=[], queue_limit=1)
    await ledger.reject(Rejection(endpoint="e", automation=None, reason="r", at=NOW))
    await ask_for_keys(ledger)
    await ledger.claim(limit=5, overall=1000, now=NOW)
    await ledger.next_claimable_at()
    await ledger.held_back(overall=1, now=NOW)
    await ledger.expire(["run_a1_0"], at=NOW)
    await ledger.take_orphans()
    await ledger.cancels_asked()
    await ledger.release_claims()
    await ledger.last_runs()
    await ledger.previous("a", None)
    await ledger.writes_since("a", NOW)
    await ledger.list_runs(RunFilter(automation="a"))
    await ledger.find_run("run_1")
    await ledger.find_event("evt_1")
    await ledger.claim_messages(limit=5, now=NOW)
    await ledger.next_due_at()
    await ledger.release_claims()
    await ledger.find_message("msg_1")
    await ledger.failure_state("a")
    await ledger.entries("run_1")
    await ledger.prune(NOW)
    await ledger.list_messages(limit=5, run_ids=["run_1"])
    await ledger.list_events(limit=5, automation="a")
    await ledger.cancel_pending("a", rule="r", caller=Caller(actor="a", door="cli"), at=NOW)
    questions = [each for each in asked if each.startswith(("SELECT", "UPDATE", "DELETE", "WITH"))]

    def plans(connection: Connection) -> list[str]:
        return [
            f"{row[3]}: {statement}"
            for statement in questions
            for row in driver(connection).execute(f"EXPLAIN QUERY PLAN {statement}")
            if WALK.match(row[3])
        ]

    assert len(questions) > 40
    for each in ("runs_in_order", "runs_begun", "runs_idempotent", "runs_coalescing"):
        assert any(each in question for question in questions), each
    assert await ledger._database.read(plans) == []


async def ask_for_keys(ledger: SqliteLedger) -> None:
    """The questions that only starts with keys ask, and those of the bus."""
    rule = Coalesce(key="k", window=timedelta(seconds=1), longest=timedelta(seconds=9))
    said = {"conversation_key": "c", "idempotency_key": "i", "starts_per_hour": 9}
    for number, order in enumerate("213"):
        keys = said | {"order_key": order, "idempotency_key": order}
        start = replace(wish("k", OnLimit.QUEUE, **keys), run_id=f"run_k_{number}")
        joined = replace(start, run_id=f"run_j_{number}", automation="j", coalesce=rule)
        await ledger.admit([start, joined])
    await ledger.emit(delivery(7, NOW))
    await ledger.unmatched(limit=5)
    await ledger.match("evt_7", starts=[], missed=1)
    await ledger.replay("evt_7", starts=[wish("r", OnLimit.QUEUE)])
    await ledger.gate_value("a")


def wish(automation: str, on_limit: OnLimit, **changed: Any) -> Start:
    return Start(
        run_id=f"run_{automation}_{len(changed)}",
        automation=automation,
        title="A",
        trigger=TriggerKind.CRON,
        definition="d",
        created_at=NOW,
        concurrency=3,
        on_limit=on_limit,
        **changed,
    )


def delivery(number: int, received_at: datetime) -> Event:
    return Event(
        id=f"evt_{number}", type="t", source="s", data=None, time=NOW, received_at=received_at
    )


async def test_prune_forgets_deliveries_past_their_retention_and_expired_values(
    ledger: SqliteLedger,
) -> None:
    for number, age in enumerate((DEDUP_RETENTION, DEDUP_RETENTION - timedelta(seconds=1))):
        key = DedupKey(endpoint="e", keys=(str(number),))
        await ledger.accept(delivery(number, NOW - age), dedup=key, starts=[], queue_limit=1)
    for key, expires_at in (("old", NOW), ("new", NOW + timedelta(seconds=1)), ("kept", None)):
        item = StoreItem(key=key, value=1, updated_at=NOW)
        await ledger.put("s", item, expires_at=expires_at, step=None)

    assert (await ledger.prune(NOW)).rows == 2
    assert (await ledger.prune(NOW)).rows == 0

    def left(connection: Connection) -> list[str]:
        raw = driver(connection)
        return [
            str(row[0])
            for query in ("SELECT key FROM dedup_keys", "SELECT key FROM store_items ORDER BY key")
            for row in raw.execute(query)
        ]

    assert await ledger._database.read(left) == ["1", "kept", "new"]
    assert len(await ledger.list_events(limit=10)) == 2


async def test_refusals_of_one_kind_are_counted_together_whatever_each_says(
    ledger: SqliteLedger,
) -> None:
    for said in ("full: 5", "full: 7"):
        rejection = Rejection(endpoint="e", automation=None, reason=said, at=NOW)
        await ledger.reject(rejection, count=int(said[-1]), counted_as="full")

    def counts(connection: Connection) -> list[Any]:
        query = "SELECT endpoint, reason, count FROM rejection_counts"
        return sqlite_driver(connection).execute(query).fetchall()

    assert await ledger._database.read(counts) == [("e", "full", 12)]
