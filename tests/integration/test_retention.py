"""What is older than `limits.history` goes; what anybody still needs stays."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import daemon_child
import older_ledger as older
import pytest
from older_ledger import NOW, start

from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.delivery import Attempt, AttemptResult, Plan
from amodal_rt.domain.event import DedupKey, Event
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome, failed
from amodal_rt.domain.run import FailedReason, RunStatus, SkippedReason
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.ports import ArchivedDefinition, RunFilter, ScheduleState
from amodal_rt.storage.sqlite import SqliteLedger

DAY = timedelta(days=1)
HISTORY = 90 * DAY
LATER = NOW + HISTORY + DAY
"""When everything of `NOW` is past its retention."""


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqliteLedger]:
    async with older.opened(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


async def ended(
    ledger: SqliteLedger, name: str, *, at: datetime = NOW, good: bool = False, **changed: object
) -> str:
    """A run that was created, carried and finished at `at`; it owes one message when failed."""
    await ledger.admit([start(name, created_at=at, **changed)])
    (run,) = await ledger.claim(limit=1, overall=1000, now=at)
    await ledger.record(run.run_id, EntryType.PROMPT, at=at, data={"text": "x" * 500})
    outcome = Outcome(status=RunStatus.COMPLETED, text=name, model="m:m")
    if not good:
        outcome = failed(FailedReason.ERROR, "no luck")
    await ledger.finish(run, outcome, at=at, plan=lambda _: Plan())
    return run.run_id


async def ids(ledger: SqliteLedger) -> set[str]:
    return {run.run_id for run in await ledger.list_runs(RunFilter(limit=1000))}


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as raw:
        return int(raw.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])


async def test_an_old_run_goes_with_its_journal_event_and_slot(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    event = Event(id="evt_1", type="t", source="s", data=1, time=NOW, received_at=NOW)
    await ledger.accept(event, dedup=DedupKey(endpoint="e", keys=("1",)), starts=[], queue_limit=9)
    old = await ended(ledger, "old", event_id="evt_1")
    slot = await ended(ledger, "slot", scheduled_for=NOW, schedule_key="cron:0")
    young = await ended(ledger, "young", at=LATER - DAY)

    pruned = await ledger.prune(LATER, history=HISTORY)

    assert await ids(ledger) == {young}
    assert old != slot
    assert await ledger.entries(old) == []
    assert await ledger.find_event("evt_1") is None
    path = tmp_path / "ledger.sqlite"
    assert [count(path, each) for each in ("events", "dedup_keys", "occurrences")] == [0, 0, 0]
    assert {row[0] for row in _rows(path, "SELECT DISTINCT run_id FROM journal")} == {young}
    assert pruned.rows > 0
    assert (await ledger.prune(LATER, history=HISTORY)).rows == 0


def _rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(query).fetchall()


async def test_without_a_limit_no_history_goes(ledger: SqliteLedger) -> None:
    first = await ended(ledger, "first")
    second = await ended(ledger, "second")

    await ledger.prune(LATER)

    assert await ids(ledger) == {first, second}


async def test_an_automation_is_known_by_its_last_run_and_told_its_last_success(
    ledger: SqliteLedger,
) -> None:
    await ended(ledger, "good_1", good=True)
    told = await ended(ledger, "good_2", good=True, at=NOW + timedelta(minutes=1))
    await ended(ledger, "bad_1", at=NOW + timedelta(minutes=2))
    newest = await ended(ledger, "bad_2", at=NOW + timedelta(minutes=3))
    skip = start("skipped", created_at=NOW + timedelta(minutes=4), skip=SkippedReason.PAUSED)
    await ledger.admit([skip])

    await ledger.prune(LATER, history=HISTORY)

    assert await ids(ledger) == {told, newest}
    previous = await ledger.previous("digest", None)
    assert previous is not None
    assert previous.summary == "good_2"
    assert (await ledger.last_runs())["digest"].run_id == newest
    assert (await ledger.failure_state("digest")).consecutive == 2


async def test_what_waits_runs_or_is_still_to_be_sent_stays(ledger: SqliteLedger) -> None:
    await ledger.admit([start("owes"), start("sent"), start("runs"), start("waits")])
    owes, sent, _ = await ledger.claim(limit=3, overall=9, now=NOW)
    long_ago = Outcome(status=RunStatus.FAILED, reason=FailedReason.ERROR, error="x")
    for run in (owes, sent):
        message = replace(older.message(run.run_id), expires_at=LATER + DAY)
        await ledger.finish(run, long_ago, at=NOW, plan=lambda _, message=message: Plan((message,)))
    taken = await ledger.claim_messages(limit=2, now=NOW)
    await ledger.record_attempt(
        Attempt(
            delivery_id=next(
                each.message.delivery_id for each in taken if each.message.run_id == sent.run_id
            ),
            result=AttemptResult.DELIVERED,
            at=NOW,
        )
    )
    # Something newer, so that none of them is kept as the newest.
    newest = await ended_elsewhere(ledger)

    await ledger.prune(LATER, history=HISTORY)

    assert await ids(ledger) == {"run_owes", "run_runs", "run_waits", newest}


async def ended_elsewhere(ledger: SqliteLedger) -> str:
    """A newer row of the same automation."""
    await ledger.admit([start("zz_newest", created_at=LATER)])
    return "run_zz_newest"


async def test_a_slot_is_not_forgotten_before_its_schedule_has_passed_it(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    """Otherwise a clock that was turned back could have it started twice."""
    ahead = NOW + timedelta(hours=1)
    for slot in (NOW, ahead):
        wish = start(
            f"at_{slot:%H}", trigger=TriggerKind.CRON, on_limit=OnLimit.SKIP, scheduled_for=slot
        )
        await ledger.admit([replace(wish, skip=SkippedReason.PAUSED)])
    state = ScheduleState(
        automation="digest", key="cron:0", fingerprint="f", counted_from=NOW - DAY, last_slot=NOW
    )
    await ledger.set_schedule_states([state])

    await ledger.prune(LATER, history=HISTORY)

    path = tmp_path / "ledger.sqlite"
    assert _rows(path, "SELECT scheduled_for FROM occurrences") == [
        (int(ahead.timestamp() * 1000),)
    ]
    assert await ledger.admit([start("twice", scheduled_for=ahead)]) == []
    (after,) = await ledger.schedule_states()
    assert after == state


async def test_a_skip_that_was_extended_lately_stays(ledger: SqliteLedger) -> None:
    wish = start(
        "skips",
        scheduled_for=NOW,
        scheduled_until=LATER - DAY,
        count=90,
        skip=SkippedReason.PAUSED,
    )
    await ledger.admit([wish])

    await ledger.prune(LATER, history=HISTORY)

    assert await ids(ledger) == {"run_skips"}


async def test_versions_go_when_they_are_neither_live_nor_named(ledger: SqliteLedger) -> None:
    def version(hash: str) -> ArchivedDefinition:
        return ArchivedDefinition(
            kind="automation", name="digest", hash=hash, document="{}", file="f", recorded_at=NOW
        )

    for hash in ("unused", "named", "live"):
        await ledger.record_live([version(hash)])
    await ended(ledger, "young", at=LATER - DAY, definition="named")

    await ledger.prune(LATER, history=HISTORY)

    found = {hash: await ledger.find_definition(hash) for hash in ("unused", "named", "live")}
    assert [hash for hash, each in found.items() if each] == ["named", "live"]


async def test_the_audit_trail_and_the_counters_stay(ledger: SqliteLedger, tmp_path: Path) -> None:
    await older.fill(ledger, finished=3)

    await ledger.prune(LATER + 1000 * DAY, history=HISTORY)

    path = tmp_path / "ledger.sqlite"
    # One more: what was forgotten.
    assert count(path, "audit") == 3
    assert count(path, "rejections") == 0
    assert count(path, "rejection_counts") == 1
    assert (await ledger.automation_facts())["other"].paused
    assert await ledger.fact("webhook_key")
    assert count(path, "store_items") == 1


async def test_a_batch_never_holds_the_writer_for_long_and_others_get_their_turn(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    """3,000 runs with 9,000 entries of 4 KB, while somebody writes all the time."""
    await asyncio.to_thread(_many, tmp_path / "ledger.sqlite", 3000)
    done = asyncio.create_task(ledger.prune(LATER, history=HISTORY))
    wrote = 0
    while not done.done():
        await ledger.set_fact(f"fact_{wrote}", "x")
        wrote += 1

    pruned = await done

    assert count(tmp_path / "ledger.sqlite", "runs") == 1
    assert count(tmp_path / "ledger.sqlite", "journal") == 3
    assert wrote > 100
    # The promise is 20 ms on a machine that does nothing else; this one runs tests.
    assert pruned.longest < 0.2


async def test_freed_pages_are_used_again(ledger: SqliteLedger, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    for _ in range(3):
        await asyncio.to_thread(_many, path, 300)
        await ledger.prune(LATER, history=HISTORY)

    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    once = path.stat().st_size
    for _ in range(3):
        await asyncio.to_thread(_many, path, 300)
        await ledger.prune(LATER, history=HISTORY)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    assert path.stat().st_size <= once * 1.2


def test_the_daemon_forgets_by_the_settings_of_its_workspace(tmp_path: Path) -> None:
    root = tmp_path / "w"
    path = root / ".amodal-rt" / "ledger.sqlite"
    daemon_child.automation(root, "digest")
    daemon_child.write(root, "amodal.json", {"limits": {"history": "7d"}})
    path.parent.mkdir(mode=0o700)

    async def make() -> None:
        async with older.opened(path) as ledger:
            await ledger.set_fact("k", "v")

    asyncio.run(make())
    _many(path, 50)

    with daemon_child.daemon(root) as child:
        left = daemon_child.eventually(
            lambda: 1 if len(child.client.get("/v1/runs", {"limit": "100"})) == 1 else 0
        )

    assert left == 1


def _many(path: Path, runs: int) -> None:
    """Finished runs of `NOW`, written straight into the file."""
    at = int(NOW.timestamp() * 1000)
    with closing(sqlite3.connect(path, timeout=30)) as raw:
        first = raw.execute("SELECT COALESCE(MAX(number), 0) FROM runs").fetchone()[0] + 1
        numbers = range(first, first + runs)
        raw.executemany(
            "INSERT INTO runs (number, id, automation, title, trigger, status, definition,"
            " concurrency, on_limit, created_at, finished_at)"
            " VALUES (?, ?, 'digest', 'D', 'cron', 'failed', 'd', 3, 'skip', ?, ?)",
            [(number, f"run_{number}", at, at) for number in numbers],
        )
        raw.executemany(
            "INSERT INTO journal (run_id, sequence, type, at, data) VALUES (?, ?, 'prompt', ?, ?)",
            [(f"run_{n}", entry, at, "x" * 4000) for n in numbers for entry in (1, 2, 3)],
        )
        raw.commit()
