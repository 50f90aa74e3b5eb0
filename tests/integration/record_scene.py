"""A record of a few runs and acts, and somebody who can write into its database."""

import sqlite3
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import older_ledger as older
import psycopg
from older_ledger import CALLER, NOW

sys.path.insert(0, str(Path(__file__).parents[1]))

from amodal_rt.clock import SystemClock
from amodal_rt.domain.chain import Head, Verdict, linked, linked_text
from amodal_rt.domain.delivery import Attempt, AttemptResult, Plan
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.ports import RunFilter
from amodal_rt.storage import entries, sealing
from amodal_rt.storage.dialect import Raw
from amodal_rt.storage.ledger import DatabaseLedger
from amodal_rt.storage.postgres import PostgresLedger
from amodal_rt.storage.postgres_speech import PostgresRaw, adapt
from amodal_rt.storage.verifying import Verification

STEPS = 4
"""Entries of each run before its end."""
RUNS = ("run_1", "run_2", "run_3")
OPEN, MESSAGE = "run_open", "msg_run_2"


async def fill(ledger: DatabaseLedger) -> None:
    """Three runs that ended, one that runs, three acts of ada's."""
    for name in ("1", "2", "3", "open"):
        await ledger.admit([older.start(name, created_at=NOW)])
        (run,) = await ledger.claim(limit=1, overall=100, now=NOW)
        for number in range(STEPS):
            data = {"tool": "request", "request": f"POST /deals/{number}"}
            await ledger.record(
                run.run_id, EntryType.WRITE_STARTED, at=NOW, step=f"call_{number}", data=data
            )
        if name != "open":
            done = Outcome(status=RunStatus.COMPLETED, text=f"sold {name}", model="m:m")
            owed = Plan((older.message(run.run_id),) if name == "2" else ())
            await ledger.finish(run, done, at=NOW, plan=lambda _, owed=owed: owed)
            await ledger.audit("run.looked_at", subject=run.run_id, caller=CALLER, at=NOW, data={})


async def deliver(ledger: DatabaseLedger) -> None:
    """The message that the second run owes arrives."""
    (claimed,) = await ledger.claim_messages(limit=1, now=NOW)
    arrived = AttemptResult.DELIVERED
    await ledger.record_attempt(
        Attempt(delivery_id=claimed.message.delivery_id, result=arrived, at=NOW)
    )


@asynccontextmanager
async def record(folder: Path, url: str | None) -> AsyncIterator[Raw]:
    """The record, of the server at `url` or in a file, and somebody else's connection."""
    path = folder / "ledger.sqlite"
    ledger = older.opened(path) if url is None else PostgresLedger(url, clock=SystemClock())
    async with ledger:
        if not await ledger.list_runs(RunFilter()):
            await fill(ledger)
            await deliver(ledger)
    if url is None:
        raw = sqlite3.connect(path, isolation_level=None)
        raw.create_function("linked", 1, linked_text, deterministic=True)
        yield raw
        raw.close()
    else:
        with psycopg.connect(url, autocommit=True) as server:
            adapt(server)
            # A database that is used again goes on counting.
            server.execute("UPDATE audit SET number = place")
            yield PostgresRaw(server)


@contextmanager
def taken_back(raw: Raw) -> Generator[None]:
    """What is written within is gone afterwards."""
    raw.execute("BEGIN")
    try:
        yield
    finally:
        raw.execute("ROLLBACK")


def verified(raw: Raw, kept: Head | None = None) -> Verdict:
    verification = Verification(kept)
    while verification.step(raw):
        pass
    return verification.verdict()


def write_anew(raw: Raw) -> None:
    """Give every row the digests that it should have: what a forger does who knows how."""
    heads: dict[str, tuple[int, str]] = {}
    columns = "run_id, type, step, parent, attempt, at, data"
    found = raw.execute(f"SELECT sequence, {columns} FROM journal ORDER BY run_id, sequence")
    for place, *row in found.fetchall():
        digest = linked(heads.get(row[0], (0, ""))[1], entries.content(tuple(row)))
        heads[row[0]] = place, digest
        raw.execute(
            "UPDATE journal SET digest = ? WHERE run_id = ? AND sequence = ?",
            (digest, row[0], place),
        )
    last = ""
    columns = "at, action, subject, actor, door, data"
    for place, (number, *row) in enumerate(
        raw.execute(f"SELECT number, {columns} FROM audit ORDER BY number").fetchall(), start=1
    ):
        last = linked(last, sealing.note_content(tuple(row)))
        raw.execute(
            "UPDATE audit SET place = ?, digest = ? WHERE number = ?", (place, last, number)
        )
    raw.execute("DELETE FROM seals")
    for run_id, *_ in ended(raw):
        place, digest = heads[run_id]
        sealing.seal(raw, run_id, place, digest, 0)
    sealing.seal_message(raw, MESSAGE, "run_2", 0)


def ended(raw: Raw) -> Iterator[tuple[str, ...]]:
    return iter(raw.execute("SELECT id FROM runs WHERE status = 'completed' ORDER BY id"))
