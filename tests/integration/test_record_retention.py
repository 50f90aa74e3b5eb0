"""What retention lets go of is on record, and what is left can still be checked."""

import sys
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import older_ledger as older
import pytest
from older_ledger import CALLER, NOW
from sqlalchemy import Connection, text

sys.path.insert(0, str(Path(__file__).parents[1]))

import postgres_server

from amodal_rt.clock import SystemClock
from amodal_rt.domain.delivery import Attempt, AttemptResult, Plan
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.trail import TrailFilter
from amodal_rt.storage.database import Database
from amodal_rt.storage.ledger import DatabaseLedger
from amodal_rt.storage.postgres import PostgresLedger

DAY = timedelta(days=1)
HISTORY = 90 * DAY
T = TypeVar("T")


@pytest.fixture(params=["sqlite", "postgres"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DatabaseLedger]:
    if request.param == "sqlite":
        async with older.opened(tmp_path / "ledger.sqlite") as opened:
            yield opened
        return
    with postgres_server.fresh_ledger() as url:
        async with PostgresLedger(url, clock=SystemClock()) as opened:
            yield opened


async def ended(
    ledger: DatabaseLedger, name: str, at: datetime, *, automation: str = "digest", steps: int = 1
) -> str:
    await ledger.admit([older.start(name, automation=automation, created_at=at)])
    (run,) = await ledger.claim(limit=1, overall=1000, now=at)
    for number in range(steps):
        await ledger.record(run.run_id, EntryType.TEXT, at=at, data={"number": number})
    outcome = Outcome(status=RunStatus.COMPLETED, text=name, model="m:m")
    owed = older.message(run.run_id)
    await ledger.finish(run, outcome, at=at, plan=lambda _: Plan((owed,)))
    arrived = Attempt(delivery_id=owed.delivery_id, result=AttemptResult.DELIVERED, at=at)
    await ledger.record_attempt(arrived)
    return run.run_id


async def asked(ledger: DatabaseLedger, query: str) -> list[tuple[object, ...]]:
    return await ledger._database.read(
        lambda connection: [tuple(row) for row in connection.execute(text(query))]
    )


async def test_the_record_fits_after_each_step_of_forgetting(
    ledger: DatabaseLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        await ended(ledger, f"old_{number}", NOW)
    await ended(ledger, "heavy", NOW, steps=150)
    await ended(ledger, "kept", NOW, automation="rare")
    # Long before what ended before it: a clock was set back.
    await ended(ledger, "odd", NOW + 2 * HISTORY, automation="odd")
    await ended(ledger, "odd_old", NOW, automation="odd")
    await ended(ledger, "odd_new", NOW + 2 * HISTORY, automation="odd")
    await ended(ledger, "new", NOW + HISTORY)
    await ledger.audit("a", subject="s", caller=CALLER, at=NOW, data={})
    kept = await ledger.head()
    written = Database.write
    verdicts: list[int] = []

    async def write(self: Database, work: Callable[[Connection], T]) -> T:
        value = await written(self, work)
        verdicts.append((await ledger.verify(kept)).wrong)
        return value

    monkeypatch.setattr(Database, "write", write)

    await ledger.prune(NOW + HISTORY + DAY, history=HISTORY)

    assert len(verdicts) > 5
    assert set(verdicts) == {0}
    verdict = await ledger.verify(kept)
    assert (verdict.sealed, verdict.head_forgotten) == (4, False)
    left = await asked(ledger, "SELECT subject FROM seals WHERE kind <> 'delivery' ORDER BY number")
    assert left == [
        ("run_odd",),
        ("run_odd_old",),
        ("run_odd_new",),
        ("run_new",),
        ("run_odd_old",),
        ("run_heavy",),
        ("run_kept",),
    ]
    messages = "SELECT DISTINCT subject FROM seals WHERE kind = 'delivery' AND number > 16"
    assert ("msg_run_kept",) in await asked(ledger, messages)
    (cut,) = [row for row in await ledger.trail(TrailFilter()) if row.action == "history.forgotten"]
    assert (cut.actor, cut.door, cut.data["through"], cut.data["seals"]) == (
        "amodal-rt",
        "retention",
        16,
        16,
    )


async def test_a_head_whose_runs_are_forgotten_is_said_to_be_too_old(
    ledger: DatabaseLedger,
) -> None:
    await ended(ledger, "first", NOW)
    old = await ledger.head()
    for number in range(5):
        await ended(ledger, f"old_{number}", NOW)
    await ended(ledger, "new", NOW + HISTORY)

    await ledger.prune(NOW + HISTORY + DAY, history=HISTORY)
    verdict = await ledger.verify(old)

    assert (verdict.wrong, verdict.head_forgotten) == (0, True)


async def test_the_chain_of_seals_does_not_grow_with_what_is_forgotten(
    ledger: DatabaseLedger,
) -> None:
    await ended(ledger, "rare", NOW, automation="rare")
    for turn in range(4):
        now = NOW + turn * 2 * HISTORY
        for number in range(10):
            await ended(ledger, f"{turn}_{number}", now)
        await ledger.prune(now + HISTORY + DAY, history=HISTORY)

    assert (await ledger.verify()).wrong == 0
    assert len(await asked(ledger, "SELECT number FROM seals")) < 30


@pytest.mark.parametrize(
    "done",
    [
        "UPDATE runs SET result_text = 'other' WHERE id = 'run_rare'",
        "DELETE FROM runs WHERE id = 'run_rare'",
        "UPDATE seals SET facts = NULL WHERE subject = 'run_rare'",
        "DELETE FROM seals",
    ],
)
async def test_what_was_kept_when_others_were_forgotten_is_watched_still(
    ledger: DatabaseLedger, done: str
) -> None:
    await ended(ledger, "rare", NOW, automation="rare")
    for number in range(5):
        await ended(ledger, f"old_{number}", NOW)
    await ledger.prune(NOW + HISTORY + DAY, history=HISTORY)
    assert (await ledger.verify()).wrong == 0

    await ledger._database.write(lambda connection: connection.execute(text(done)))

    assert (await ledger.verify()).wrong > 0
