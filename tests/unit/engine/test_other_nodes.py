"""What an engine does, and leaves alone, as one node of several."""

import asyncio
from datetime import timedelta

import pytest

from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.errors import ConflictError, UnavailableError
from amodal_rt.ports import RUNS_PENDING, Caller

OTHER = Caller(actor="grace", door="api")


async def another_takes_over(desk) -> None:
    """What another node's ledger would do to the runs carried here."""
    await desk.ledger.join(host="b", pid=2, version="1", lease=timedelta(hours=1))
    assert await desk.ledger.take_orphans()


async def test_nothing_is_claimed_without_a_lease(desk):
    desk.lease.good = False
    async with desk.running():
        run_id = await desk.start(desk.put("job"))
        await desk.clock.settle()
        assert (await desk.run(run_id)).status == "pending"

        desk.lease.good = True
        desk.signals.notify(RUNS_PENDING)
        await desk.clock.settle()

    assert (await desk.run(run_id)).status == "completed"


async def test_the_executor_can_ask_for_the_lease(desk):
    async with desk.running():
        await desk.start(desk.put("job"))
        await desk.clock.settle()

    (context,) = desk.executor.contexts
    assert context.lease is desk.lease


async def test_a_run_that_was_taken_over_ends_here_without_a_word(desk):
    told: list[str] = []

    async def go_on(context) -> Outcome:
        await another_takes_over(desk)
        try:
            await context.journal.record(EntryType.TURN_STARTED, step="turn:1")
        except ConflictError as error:
            told.append(error.code)
            # Whatever the executor makes of it, the run is not its own any more.
            await asyncio.Event().wait()
        return Outcome(status=RunStatus.COMPLETED)

    desk.executor.work = go_on
    async with desk.running():
        run_id = await desk.start(desk.put("job"))
        await desk.clock.settle()
        await desk.clock.advance(5)

    run = await desk.run(run_id)
    assert told == ["fenced"]
    assert (run.status, run.term) == ("running", 2)
    assert [entry.type for entry in await desk.ledger.entries(run_id)] == [EntryType.RUN_STARTED]
    assert desk.executor.running == 0


async def test_the_outcome_of_a_run_that_was_taken_over_is_dropped(desk):
    async def finish(context) -> Outcome:
        await another_takes_over(desk)
        return Outcome(status=RunStatus.COMPLETED)

    desk.executor.work = finish
    async with desk.running():
        run_id = await desk.start(desk.put("job"))
        await desk.clock.settle()

    assert (await desk.run(run_id)).status == "running"
    assert await desk.ledger.list_messages(limit=9) == []


async def test_abandoned_runs_end_without_a_word_and_free_their_slots(desk):
    async def hang(context) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    desk.executor.work = hang
    async with desk.running() as engine:
        run_id = await desk.start(desk.put("job"))
        await desk.clock.settle()
        before = await desk.ledger.entries(run_id)

        engine.abandon()
        await desk.clock.settle()

        assert desk.executor.running == 0
        assert (await desk.run(run_id)).status == "running"
        assert await desk.ledger.entries(run_id) == before


async def test_an_executor_that_raises_when_abandoned_fails_no_run(desk):
    async def hang(context) -> Outcome:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("torn away")

    desk.executor.work = hang
    async with desk.running() as engine:
        run_id = await desk.start(desk.put("job"))
        await desk.clock.settle()
        engine.abandon()
        await desk.clock.settle()

    assert (await desk.run(run_id)).status == "running"


async def test_what_another_node_left_is_carried_on_here(desk):
    run_id = await desk.start(desk.put("job"))
    await desk.ledger.claim(limit=1, overall=10, now=desk.clock.now())
    await desk.ledger.record(run_id, EntryType.TURN_STARTED, at=desk.clock.now(), step="turn:1")
    async with desk.running() as engine:
        await desk.ledger.join(host="b", pid=2, version="1", lease=timedelta(hours=1))

        await engine.recover()
        await desk.clock.settle()

    found = await desk.run(run_id)
    assert (found.status, found.attempt, found.resumes, found.term) == ("completed", 2, 1, 3)


async def test_a_run_that_was_ended_through_another_node_ends(desk):
    async def hang(context) -> Outcome:
        await asyncio.Event().wait()
        raise AssertionError

    desk.executor.work = hang
    async with desk.running() as engine:
        run_id = await desk.start(desk.put("job"))
        await desk.clock.settle()
        await desk.ledger.cancel(run_id, caller=OTHER, at=desk.clock.now())

        await engine.obey_cancels()
        await desk.clock.settle()

        assert (await desk.run(run_id)).status == "cancelled"


class AwayAtTimes:
    """A ledger whose database goes away and comes back."""

    def __init__(self, ledger) -> None:
        self._ledger = ledger
        self.away = False

    def __getattr__(self, name: str):
        found = getattr(self._ledger, name)
        if name not in ("record", "bind", "previous", "finish"):
            return found

        async def ask(*arguments: object, **named: object) -> object:
            if self.away:
                raise UnavailableError("the database is away", code="ledger")
            return await found(*arguments, **named)

        return ask


@pytest.mark.parametrize("moment", ["before", "within"])
async def test_a_run_waits_for_a_database_that_is_away(desk, moment: str):
    desk.ledger = ledger = AwayAtTimes(desk.ledger)

    async def work(context) -> Outcome:
        ledger.away = True
        await context.journal.record(EntryType.TURN_STARTED, step="turn:1")
        return Outcome(status=RunStatus.COMPLETED)

    desk.executor.work = work
    ledger.away = moment == "before"
    async with desk.running():
        run_id = await desk.start(desk.put("job"))
        await desk.clock.advance(20)
        assert (await desk.run(run_id)).status == "running"

        ledger.away = False
        await desk.clock.advance(2)
        ledger.away = False
        await desk.clock.advance(2)

    assert (await desk.run(run_id)).status == "completed"


async def unanswered(ledger, name: str, monkeypatch) -> None:
    """The next call is carried out, and its answer lost on the way."""
    ask = getattr(ledger, name)

    async def call(**asked):
        monkeypatch.setattr(ledger, name, ask)
        await ask(**asked)
        raise UnavailableError("the connection was reset", code="ledger")

    monkeypatch.setattr(ledger, name, call)


async def test_a_run_whose_claim_was_not_answered_is_carried_all_the_same(desk, monkeypatch):
    async with desk.running():
        await unanswered(desk.ledger, "claim", monkeypatch)
        run_id = await desk.start(desk.put("job"))
        await desk.clock.settle()
        for _ in range(3):
            await desk.clock.advance(1)

        assert (await desk.run(run_id)).status == "completed"
    assert len(desk.executor.contexts) == 1


async def test_a_run_whose_carrying_broke_is_taken_up_again(desk, monkeypatch):
    finish, asked = desk.ledger.finish, []

    async def broken(run, outcome, **more):
        asked.append(outcome.status)
        if len(asked) <= 2:
            raise KeyError("a defect")
        return await finish(run, outcome, **more)

    monkeypatch.setattr(desk.ledger, "finish", broken)
    async with desk.running():
        run_id = await desk.start(desk.put("job"))
        for _ in range(20):
            await desk.clock.advance(1)

        assert (await desk.run(run_id)).status == "completed"
    assert asked == ["completed", "failed", "completed"]


async def test_a_run_that_cannot_be_settled_ends_neither_the_engine_nor_other_runs(
    desk, monkeypatch
):
    finish = desk.ledger.finish

    async def broken(run, outcome, **more):
        if run.automation == "bad":
            raise KeyError("a defect")
        return await finish(run, outcome, **more)

    async def worked(context) -> Outcome:
        await context.journal.record(EntryType.WRITE_STARTED, step="call_1")
        return Outcome(status=RunStatus.COMPLETED)

    desk.executor.work = worked
    monkeypatch.setattr(desk.ledger, "finish", broken)
    async with desk.running():
        bad = await desk.start(desk.put("bad"))
        for _ in range(20):
            await desk.clock.advance(1)
        good = await desk.start(desk.put("good"))
        await desk.clock.settle()

        assert (await desk.run(good)).status == "completed"
        assert (await desk.run(bad)).status == "running"
