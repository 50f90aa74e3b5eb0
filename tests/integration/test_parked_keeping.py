"""How long parked writes are kept, and what a restore makes of those that were approved."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import older_ledger as older
import pytest
from backup_scene import put_back
from older_ledger import NOW, start

from amodal_rt.domain import parked
from amodal_rt.domain.delivery import Plan
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.parked import ParkedStatus, ParkedWrite, Verdict
from amodal_rt.domain.run import RunStatus
from amodal_rt.ports import Caller
from amodal_rt.storage import backup
from amodal_rt.storage.sqlite import SqliteLedger

DAY = timedelta(days=1)
HISTORY = 90 * DAY
BOSS = Caller(actor="boss", door="cli")


async def waiting(ledger: SqliteLedger, name: str) -> ParkedWrite:
    """A write that waits, of a run that has ended."""
    await ledger.admit([start(name, created_at=NOW)])
    (run,) = await ledger.claim(limit=1, overall=1000, now=NOW)
    write = ParkedWrite(
        write_id=f"write_{name}",
        run_id=run.run_id,
        automation=name,
        title=name,
        definition="d",
        step="call_1",
        call={"connection": "crm", "method": "POST", "endpoint": "/x"},
        label="POST /x",
        surface="s",
        why="so",
        rule="r",
        asked_at=NOW,
        expires_at=NOW + 2 * HISTORY,
    )
    await ledger.park_write(write, data={"tool": "request"}, attempt=1, term=run.term)
    outcome = Outcome(status=RunStatus.COMPLETED, reason="awaiting_approval", text=name, model="m")
    await ledger.finish(run, outcome, at=NOW, plan=lambda _: Plan())
    return write


async def decide(ledger: SqliteLedger, write: ParkedWrite, *, approved: bool) -> None:
    verdict = Verdict(approved=approved, by="boss", door="cli", at=NOW)
    await ledger.rule_on_parked(
        write.write_id,
        lambda found, around: parked.decided(found, verdict, around),
        caller=BOSS,
        at=NOW,
    )


async def test_a_run_is_kept_while_a_write_of_it_waits_and_no_longer(tmp_path: Path) -> None:
    later = NOW + HISTORY + DAY
    async with older.opened(tmp_path / "ledger.sqlite") as ledger:
        open_, denied = await waiting(ledger, "one"), await waiting(ledger, "two")
        newest = [await waiting(ledger, each) for each in ("one-b", "two-b")]
        # The newest run of an automation always stays: each has another one beside it.
        for write, other in zip((open_, denied), newest, strict=True):
            await decide(ledger, other, approved=False)
            run = await ledger.find_run(write.run_id)
            assert run is not None
            again = start(write.automation, created_at=later)
            await ledger.admit([replace(again, run_id=f"run_new_{write.automation}")])
            (claimed,) = await ledger.claim(limit=1, overall=1000, now=later)
            done = Outcome(status=RunStatus.COMPLETED, text="x", model="m")
            await ledger.finish(claimed, done, at=later, plan=lambda _: Plan())
        await decide(ledger, denied, approved=False)
        await ledger.prune(later, history=HISTORY)

        assert await ledger.find_run(open_.run_id) is not None
        assert await ledger.find_parked(open_.write_id) == open_
        assert await ledger.find_run(denied.run_id) is None
        assert await ledger.find_parked(denied.write_id) is None


@pytest.mark.parametrize("approved", [True, False])
async def test_after_a_restore_nobody_makes_again_what_was_approved(
    tmp_path: Path, approved: bool
) -> None:
    path = tmp_path / "ledger.sqlite"
    async with older.opened(path) as ledger:
        write = await waiting(ledger, "one")
        if approved:
            await decide(ledger, write, approved=True)
    backup.take(path, tmp_path / "b.db")

    await asyncio.to_thread(put_back, tmp_path / "b.db", path)

    async with older.opened(path) as ledger:
        found = await ledger.find_parked(write.write_id)
        assert found is not None
        expected = ParkedStatus.UNKNOWN if approved else ParkedStatus.OPEN
        assert found.status is expected
        if approved:
            assert "whether it was made since is unknown" in str(found.outcome["error"])
