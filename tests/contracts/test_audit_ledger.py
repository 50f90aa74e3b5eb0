"""`ports.AuditLedger`, sentence by sentence."""

from datetime import timedelta

import ledger_values as given
import pytest
from ledger_values import CALLER, MINUTE, NOW

from amodal_rt.domain.chain import Head, Link
from amodal_rt.domain.delivery import Attempt, AttemptResult
from amodal_rt.domain.event import DedupKey
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.trail import TrailFilter, TrailRow
from amodal_rt.ports import Act, Ledger


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
    assert (verdict.trail, verdict.sealed, verdict.open_runs) == (5, 4, 2)
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


async def test_each_change_stands_in_the_trail_with_who_made_it(ledger: Ledger) -> None:
    def act(action: str, subject: str) -> Act:
        return Act(action=action, subject=subject, caller=CALLER, at=NOW, data={"n": 1})

    run = await given.running(ledger)
    owed = given.message(run.run_id)
    await ledger.finish(run, given.outcome(), at=NOW, plan=given.owing(owed))
    await ledger.claim_messages(limit=1, now=NOW)
    dead = Attempt(delivery_id=owed.delivery_id, result=AttemptResult.DEAD, at=NOW, error="no")
    await ledger.record_attempt(dead)
    event, start = given.event(), given.start()
    key = DedupKey(endpoint="e", keys=("1",))
    facts = {"a": "1", "b": "2"}

    await ledger.admit([start], act=act("run.triggered", start.run_id))
    await ledger.cancel(start.run_id, caller=CALLER, at=NOW)
    await ledger.cancel(start.run_id, caller=CALLER, at=NOW)
    for _ in range(2):
        emitted = act("event.emitted", event.id)
        await ledger.accept(event, dedup=key, starts=[], queue_limit=9, act=emitted)
    await ledger.replay(event.id, starts=[], act=act("event.replayed", event.id))
    retried = NOW + MINUTE
    await ledger.retry_message(owed.delivery_id, at=NOW, expires_at=retried, caller=CALLER)
    await ledger.set_facts(facts, act=act("connection.tools_approved", "mail"))

    rows = await ledger.trail(TrailFilter())
    assert [(row.action, row.subject, row.actor, row.data) for row in reversed(rows)] == [
        ("run.triggered", start.run_id, "ada", {"n": 1}),
        ("run.cancelled", start.run_id, "ada", {"status": "pending"}),
        ("event.emitted", event.id, "ada", {"n": 1}),
        ("event.replayed", event.id, "ada", {"n": 1}),
        ("delivery.retried", owed.delivery_id, "ada", {}),
        ("connection.tools_approved", "mail", "ada", {"n": 1}),
    ]
    assert [await ledger.fact(key) for key in facts] == ["1", "2"]
    assert (await ledger.verify()).wrong == 0


async def test_a_message_that_was_settled_is_on_the_trail_until_it_is_sent_again(
    ledger: Ledger,
) -> None:
    run = await given.running(ledger)
    arrives, dies = given.message(run.run_id), given.message(run.run_id)
    await ledger.finish(run, given.outcome(), at=NOW, plan=given.owing(arrives, dies))
    await ledger.claim_messages(limit=2, now=NOW)
    for number, (message, result) in enumerate(
        ((arrives, AttemptResult.DELIVERED), (dies, AttemptResult.DEAD)), start=1
    ):
        at, error = NOW + number * MINUTE, "no" if message is dies else None
        attempt = Attempt(delivery_id=message.delivery_id, result=result, at=at, error=error)
        await ledger.record_attempt(attempt)

    dead, delivered = await ledger.trail(TrailFilter(automation="digest"))
    later = NOW + 9 * MINUTE
    await ledger.retry_message(dies.delivery_id, at=later, expires_at=later)
    left = await ledger.trail(TrailFilter(run_id=run.run_id))

    assert dead == TrailRow(
        at=NOW + 2 * MINUTE,
        action="delivery.dead",
        subject=dies.delivery_id,
        actor="digest",
        door="run",
        run_id=run.run_id,
        automation="digest",
        data={"target": "#reports", "kind": "result", "attempts": 1, "error": "no"},
    )
    assert (delivered.action, delivered.at) == ("delivery.delivered", NOW + MINUTE)
    assert left == [delivered]
    verdict = await ledger.verify()
    assert (verdict.wrong, verdict.head.seals.place) == (0, 3)
