"""The verbs of runs: following ends with the run, cancelling ends the run."""

import asyncio
from datetime import timedelta

import pytest
from desk import ADA, NOW, Desk, cron, definition, live

from amodal_rt.domain.delivery import (
    DeliveryStatus,
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
    Target,
    TargetType,
)
from amodal_rt.domain.invocation import Invocation, InvokeAuth
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import Run, RunStatus, Usage
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.errors import AmodalError, ConflictError, InvalidError, NotFoundError
from amodal_rt.ports import journal_topic
from amodal_rt.triggers.starts import start_for


async def begin(desk: Desk, name: str = "a", payload: object = None) -> Run:
    """A running run."""
    desk.files.add(live(definition(name)))
    await desk.automations.trigger(ADA, name, payload=payload)
    (run,) = await desk.ledger.claim(limit=1, overall=1000, now=desk.clock.now())
    return run


async def finish(desk: Desk, run: Run, *messages: OutboxMessage) -> None:
    """Its outcome, as the engine writes it."""
    outcome = Outcome(
        status=RunStatus.COMPLETED,
        text="All clean",
        payload={"n": 1},
        usage=Usage(input_tokens=10, output_tokens=2, turns=1),
        model="rehearsal",
    )

    def plan(_: FailureState) -> Plan:
        return Plan(messages=messages)

    at = desk.clock.now() + timedelta(seconds=1.5)
    assert await desk.ledger.finish(run, outcome, at=at, plan=plan)
    desk.signals.notify(journal_topic(run.run_id))


def message(run: Run, label: str) -> OutboxMessage:
    return OutboxMessage(
        delivery_id=f"msg_{label}",
        run_id=run.run_id,
        automation=run.automation,
        kind=MessageKind.RESULT,
        target=Target(type=TargetType.CALLBACK, label=label),
        body={"text": "All clean"},
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )


async def test_a_finished_run_is_shown_with_result_usage_and_deliveries(desk: Desk) -> None:
    run = await begin(desk)
    await finish(desk, run, message(run, "#first"), message(run, "#second"))

    shown = await desk.runs.show(ADA, run.run_id)

    assert shown == {
        "run_id": run.run_id,
        "session_id": f"auto_{run.run_id}",
        "automation": "a",
        "title": "A",
        "trigger": "manual",
        "status": "completed",
        "reason": None,
        "error": None,
        "requester": "ada",
        "depth": 0,
        "attempt": 1,
        "created_at": "2026-03-01T12:00:00Z",
        "scheduled_for": None,
        "scheduled_until": None,
        "count": 1,
        "started_at": "2026-03-01T12:00:00Z",
        "finished_at": "2026-03-01T12:00:01.500Z",
        "duration_seconds": 1.5,
        "deliveries": [
            {"target": "#first", "status": "pending", "attempts": 0},
            {"target": "#second", "status": "pending", "attempts": 0},
        ],
        "usage": {"input_tokens": 10, "output_tokens": 2, "cost_usd": None, "turns": 1},
        "model": "rehearsal",
        "profile": None,
        "isolation": None,
        "result": {"text": "All clean", "payload": {"n": 1}, "output": []},
        "event_id": None,
        "definition": run.definition,
    }


async def test_runs_are_listed_newest_first_and_filtered(desk: Desk) -> None:
    first = await begin(desk, "a")
    await finish(desk, first)
    desk.clock.offset = timedelta(minutes=1)
    await begin(desk, "b")

    every = await desk.runs.list_all(ADA)
    done = await desk.runs.list_all(ADA, status=RunStatus.COMPLETED)
    of_b = await desk.runs.list_all(ADA, automation="b")

    assert [row["automation"] for row in every] == ["b", "a"]
    assert [row["automation"] for row in done] == ["a"]
    assert [row["status"] for row in of_b] == ["running"]


async def test_a_follower_sees_every_entry_and_ends_with_the_run(desk: Desk) -> None:
    run = await begin(desk)
    await desk.ledger.record(run.run_id, EntryType.TURN_STARTED, at=NOW, step="turn:1")
    seen: list[object] = []
    first = asyncio.Event()

    async def follow() -> None:
        async for batch in desk.runs.journal(ADA, run.run_id, follow=True):
            seen.extend(entry["type"] for entry in batch)
            first.set()

    following = asyncio.create_task(follow())
    await first.wait()
    await desk.ledger.record(run.run_id, EntryType.TURN_FINISHED, at=NOW, step="turn:1")
    desk.signals.notify(journal_topic(run.run_id))
    await finish(desk, run)
    await following

    assert seen[-3:] == ["turn.started", "turn.finished", "run.finished"]
    assert len(seen) == len(set(seen))


async def test_a_journal_is_read_from_where_the_reader_stopped(desk: Desk) -> None:
    run = await begin(desk)
    for _ in range(3):
        await desk.ledger.record(run.run_id, EntryType.TEXT, at=NOW, data={"text": "…"})

    batches = [batch async for batch in desk.runs.journal(ADA, run.run_id, after=2)]

    assert next(entry["sequence"] for batch in batches for entry in batch) == 3
    assert set(batches[0][0]) == {"sequence", "type", "at", "step", "parent", "attempt", "data"}


async def test_a_pending_run_is_cancelled_at_once(desk: Desk) -> None:
    desk.files.add(live(definition("a")))
    run = await desk.automations.trigger(ADA, "a")

    shown = await desk.runs.cancel(ADA, str(run["run_id"]))

    assert shown["status"] == "cancelled"
    assert desk.cancelled == []


async def test_a_running_run_is_ended_by_the_engine_and_waited_for(desk: Desk) -> None:
    run = await begin(desk)

    cancelling = asyncio.create_task(desk.runs.cancel(ADA, run.run_id))
    await desk.asked_to_cancel.wait()
    assert not cancelling.done()
    outcome = Outcome(status=RunStatus.CANCELLED)
    await desk.ledger.finish(run, outcome, at=NOW, plan=lambda _: Plan())
    desk.signals.notify(journal_topic(run.run_id))

    assert (await cancelling)["status"] == "cancelled"
    assert desk.cancelled == [run.run_id]


async def test_what_has_ended_cannot_be_cancelled(desk: Desk) -> None:
    run = await begin(desk)
    await finish(desk, run)

    with pytest.raises(ConflictError) as caught:
        await desk.runs.cancel(ADA, run.run_id)

    assert caught.value.code == "run_ended"


async def test_a_replay_is_a_new_run_of_the_same_payload_asked_for_by_the_caller(
    desk: Desk,
) -> None:
    run = await begin(desk, payload={"n": 7})
    await finish(desk, run)

    again = await desk.runs.replay(ADA, run.run_id)

    found = await desk.ledger.find_run(str(again["run_id"]))
    assert found is not None
    assert found.run_id != run.run_id
    assert (found.payload, found.requester, found.status) == ({"n": 7}, "ada", RunStatus.PENDING)


async def test_what_a_caller_gave_is_judged_anew_by_the_rules_of_now(desk: Desk) -> None:
    run = await begin(desk, payload={"n": 7})
    await finish(desk, run)
    codes = list[str]()

    for rules in (
        Invocation(schema={"required": ["team"]}),
        Invocation(prefills={"n": 8}),
        Invocation(auth=InvokeAuth.USER),
    ):
        desk.files.add(live(definition("a", invocation=rules)))
        with pytest.raises(AmodalError) as caught:
            await desk.runs.replay(ADA, run.run_id, shown=InvokeAuth.SECRET_KEY)
        codes.append(caught.value.code)
    desk.files.add(live(definition("a", invocation=Invocation(prefills={"team": "ops"}))))
    again = await desk.runs.replay(ADA, run.run_id)

    found = await desk.ledger.find_run(str(again["run_id"]))
    assert found is not None
    assert codes == ["payload_misfit", "payload_locked", "wrong_invoke_auth"]
    assert found.payload == {"n": 7, "team": "ops"}


async def test_what_a_schedule_brought_is_nobodys_to_judge(desk: Desk) -> None:
    due = definition("a", cron(), invocation=Invocation(schema={"required": ["team"]}))
    desk.files.add(live(due))
    slot = start_for(
        due, TriggerKind.CRON, ids=desk.ids, now=NOW, payload={"scheduled_at": "2026-03-02"}
    )
    (ref,) = await desk.ledger.admit([slot])

    again = await desk.runs.replay(ADA, ref.run_id)
    and_again = await desk.runs.replay(ADA, str(again["run_id"]))

    assert (again["status"], and_again["status"]) == ("pending", "pending")


async def test_a_replay_of_a_replay_is_judged_where_somebody_gave_the_first(desk: Desk) -> None:
    run = await begin(desk, payload={"n": 7})
    await finish(desk, run)
    again = await desk.runs.replay(ADA, run.run_id)
    desk.files.add(live(definition("a", cron(), invocation=Invocation(prefills={"n": 8}))))

    with pytest.raises(InvalidError) as caught:
        await desk.runs.replay(ADA, str(again["run_id"]))

    assert caught.value.code == "payload_locked"


@pytest.mark.parametrize("verb", ["show", "cancel", "replay"])
async def test_a_run_that_is_not_there_is_not_found(desk: Desk, verb: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        await getattr(desk.runs, verb)(ADA, "run_0000000000000000")

    assert caught.value.kind == "not_found"


async def test_a_dead_message_is_due_again_on_request(desk: Desk) -> None:
    run = await begin(desk)
    suppressed = message(run, "#reports")
    await finish(desk, run, suppressed)
    (claimed,) = await desk.ledger.claim_messages(limit=1, now=NOW + timedelta(days=2)) or [None]
    assert claimed is None, "expired"

    row = await desk.deliveries.retry(ADA, "msg_#reports")

    assert (row["status"], row["target"]) == (DeliveryStatus.PENDING.value, "#reports")
