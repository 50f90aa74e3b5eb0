"""`ports.AuditLedger`, sentence by sentence."""

from datetime import timedelta

import ledger_values as given
import pytest
from ledger_values import CALLER, MINUTE, NOW

from amodal_rt.domain.chain import Head, Link
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.trail import TrailFilter, TrailRow
from amodal_rt.ports import Ledger


async def test_the_trail_has_acts_and_writes_newest_first(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await ledger.audit("event.emitted", subject="evt_1", caller=CALLER, at=NOW, data={"type": "x"})
    await ledger.record(run.run_id, EntryType.TEXT, at=NOW + MINUTE, data={"text": "no write"})
    told = {"tool": "request", "request": "POST /deals"}
    for number, kind in enumerate((EntryType.WRITE_STARTED, EntryType.WRITE_FINISHED), start=2):
        at = NOW + number * MINUTE
        await ledger.record(run.run_id, kind, at=at, step="call_1", data=told)
    denied = {"tool": "request", "reason": "no"}
    at = NOW + 4 * MINUTE
    await ledger.record(run.run_id, EntryType.TOOL_DENIED, at=at, step="call_2", data=denied)

    rows = await ledger.trail(TrailFilter())

    assert [row.action for row in rows] == [
        "tool.denied",
        "write.finished",
        "write.started",
        "event.emitted",
    ]
    assert rows[0] == TrailRow(
        at=at,
        action="tool.denied",
        subject=run.run_id,
        actor="digest",
        door="run",
        run_id=run.run_id,
        automation="digest",
        step="call_2",
        data=denied,
    )
    assert rows[-1] == TrailRow(
        at=NOW, action="event.emitted", subject="evt_1", actor="ada", door="cli", data={"type": "x"}
    )


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"limit": 2}, ["automation.resumed", "write.started"]),
        ({"automation": "digest"}, ["automation.resumed", "write.started", "write.parked"]),
        ({"automation": "other"}, ["store.written", "run.cancelled"]),
        ({"since": NOW + 2 * MINUTE}, ["automation.resumed", "write.started", "store.written"]),
        ({"automation": "nobody"}, []),
    ],
)
async def test_of_the_trail_is_shown_what_was_asked_for(
    ledger: Ledger, asked: dict[str, object], found: list[str]
) -> None:
    digest, other = await given.running(ledger), await given.running(ledger, "other")
    parked = {"run_id": digest.run_id, "automation": "digest"}
    await ledger.audit("write.parked", subject="wr_1", caller=CALLER, at=NOW, data=parked)
    at = NOW + MINUTE
    await ledger.audit("run.cancelled", subject=other.run_id, caller=CALLER, at=at, data={})
    at = NOW + 2 * MINUTE
    await ledger.record(other.run_id, EntryType.STORE_WRITTEN, at=at, data={"key": "k"})
    await ledger.record(digest.run_id, EntryType.WRITE_STARTED, at=NOW + 3 * MINUTE)
    await ledger.set_paused("digest", paused=False, reason=None, caller=CALLER, at=NOW + 4 * MINUTE)

    rows = await ledger.trail(TrailFilter(**asked))  # pyright: ignore[reportArgumentType]
    of_run = await ledger.trail(TrailFilter(run_id=digest.run_id))

    assert [row.action for row in rows] == found
    assert [row.action for row in of_run] == ["write.started", "write.parked"]


async def test_the_head_moves_with_each_act_and_each_end_and_with_nothing_else(
    ledger: Ledger,
) -> None:
    assert await ledger.head() == Head()

    await ledger.audit("a", subject="s", caller=CALLER, at=NOW, data={})
    run = await given.running(ledger)
    acted = await ledger.head()
    await ledger.record(run.run_id, EntryType.RUN_STARTED, at=NOW)
    await ledger.finish(run, given.outcome(), at=NOW + MINUTE, plan=given.nothing)
    ended = await ledger.head()
    await given.running(ledger)

    assert (acted.trail.place, acted.seals) == (1, Link())
    assert (ended.trail, ended.seals.place) == (acted.trail, 1)
    assert await ledger.head() == ended
    assert Head.parse(str(ended)) == ended


async def test_a_record_that_nobody_touched_fits(ledger: Ledger) -> None:
    for status in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.SKIPPED):
        run = await given.running(ledger, runs := f"a-{status}")
        await ledger.record(run.run_id, EntryType.TEXT, at=NOW, data={"text": "ü\ud83d\0"})
        await ledger.finish(run, given.outcome(status), at=NOW + MINUTE, plan=given.nothing)
        await ledger.audit("a", subject=runs, caller=CALLER, at=NOW, data={"odd": "\udc00\0"})
    waiting = given.start("waiting")
    await ledger.admit([waiting])
    await ledger.cancel(waiting.run_id, caller=CALLER, at=NOW)
    again = await given.running(ledger)
    later = NOW + timedelta(hours=1)
    await ledger.finish(
        again, given.outcome(RunStatus.FAILED), at=NOW, plan=given.nothing, retry_at=later
    )
    kept = await ledger.head()
    await given.running(ledger, "open")
    await ledger.audit("b", subject="s", caller=CALLER, at=NOW, data={})

    verdict = await ledger.verify(kept)

    assert list(verdict.misfits) == []
    assert (verdict.wrong, verdict.head_forgotten) == (0, False)
    assert (verdict.trail, verdict.sealed, verdict.open_runs) == (4, 4, 2)
    assert verdict.head == await ledger.head()
    assert verdict.head != kept


async def test_an_entry_after_the_end_of_a_run_is_sealed_as_well(ledger: Ledger) -> None:
    run = await given.running(ledger)
    await ledger.finish(run, given.outcome(), at=NOW, plan=given.nothing)
    await ledger.record(run.run_id, EntryType.RUN_NOTE, at=NOW + MINUTE, data={"note": "late"})

    verdict = await ledger.verify()

    assert (verdict.wrong, verdict.sealed, verdict.head.seals.place) == (0, 1, 2)


async def test_a_head_of_another_record_does_not_fit(ledger: Ledger) -> None:
    await ledger.audit("a", subject="s", caller=CALLER, at=NOW, data={})
    other = Link(1, "0" * 64)

    assert (await ledger.verify(Head(trail=other))).wrong == 1
    assert (await ledger.verify(Head(seals=other))).wrong == 1
