"""A run that is cut off at any of its journal's rows goes on from there and repeats nothing."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import resume_story as story
from agent_house import AgentHouse, HurriedClock, RunJournal, journal_of

from amodal_rt.domain.automation import Automation, Limits, WriteLimits
from amodal_rt.domain.connection import Access, AccessRule, Intent, Store
from amodal_rt.domain.delivery import Plan
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.operations.shapes import entry
from amodal_rt.ports import Previous, RunContext, StoreItem
from amodal_rt.testing.model_server import Call, Turn


class Cut:
    """A journal whose process ends at one of its rows: before it is durable, or right after."""

    def __init__(self, inner: RunJournal, at: int, *, durable: bool) -> None:
        self._inner = inner
        self._left = at
        self._durable = durable
        self.over = asyncio.Event()

    async def record(self, type: EntryType, **row: Any) -> None:
        self._left -= 1
        if self._left == 0:
            if self._durable:
                await self._inner.record(type, **row)
            self.over.set()
        if self._left <= 0:
            await asyncio.Event().wait()
        await self._inner.record(type, **row)


@dataclass
class Stage:
    """The story's run in a house."""

    house: AgentHouse

    def automation(self, **changes: Any) -> Automation:
        limits = Limits(max_turns=story.TURNS, writes=WriteLimits(per_run=2, per_hour=1000))
        given: dict[str, Any] = {"write_enabled": True, "limits": limits} | changes
        return self.house.automation(story.PROMPT, **given)

    def reached(self) -> list[str]:
        """What reached services since the last call."""
        service = [f"{each.method} {each.path}" for each in self.house.service.requests]
        tools = [f"MCP {each['tool']}" for each in self.house.mcp_calls()]
        self.house.service.requests.clear()
        (self.house.folder / "calls.jsonl").unlink(missing_ok=True)
        return service + tools

    async def told(self, run_id: str) -> story.Told:
        entries = await self.house.ledger.entries(run_id)
        return story.Told(
            [
                {"type": each.type.value, "parent": each.parent, "step": each.step}
                for each in entries
            ]
        )

    async def cut(self, context: RunContext, at: int, *, durable: bool) -> Outcome | None:
        """Execute until the row `at`; the outcome of a run that ended before it."""
        assert isinstance(context.journal, RunJournal)
        journal = Cut(context.journal, at, durable=durable)
        task = asyncio.create_task(self.house.execute(replace(context, journal=journal)))
        over = asyncio.create_task(journal.over.wait())
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            over.cancel()
            return task.result()
        task.cancel()
        await asyncio.wait({task})
        return None

    async def again(self, context: RunContext, **changes: Any) -> RunContext:
        """The same run, taken over from a process that is gone and resumed."""
        ledger, now = self.house.ledger, self.house.clock.now()
        await ledger.join(host="here", pid=1, version="1", lease=timedelta(hours=1))
        [orphan] = await ledger.take_orphans()
        assert await ledger.resume(orphan, at=now)
        [run] = await ledger.claim(limit=1, overall=1000, now=now)
        return replace(context, run=run, journal=journal_of(self.house, run), **changes)


@pytest.fixture
def full_stage(stage: Stage) -> Stage:
    """With the MCP server that the story calls; without it that call is unknown."""
    stage.house.mcp(access=Access(tools=(AccessRule(match="lookup", intent=Intent.READ),)))
    return stage


@pytest.fixture
def stage(house: AgentHouse) -> Stage:
    house.rest()
    house.stores["seen"] = Store(name="seen", hash="s", schema={"type": "object"})
    house.model.answer(story.answer)
    return Stage(house)


def whole(outcome: Outcome) -> dict[str, Any]:
    return {
        "text": outcome.text,
        "model": outcome.model,
        "turns": outcome.usage.turns,
        "tokens": (outcome.usage.input_tokens, outcome.usage.output_tokens),
        "wrote": outcome.wrote,
    }


WHOLE = {
    "text": story.RESULT,
    "model": "local:small",
    "turns": story.TURNS,
    "tokens": tuple(story.TURNS * each for each in story.TOKENS),
    "wrote": True,
}


@pytest.mark.parametrize("durable", [False, True], ids=["before", "after"])
async def test_cut_off_at_any_row_it_goes_on_and_repeats_nothing(
    full_stage: Stage, durable: bool
) -> None:
    """Twice in a row at each row, the second time at the next row that it writes."""
    stage = full_stage
    house = stage.house
    cuts = 0
    for at in range(1, 100):
        first = await stage.house.context(stage.automation(), event={"n": at})
        run_id = first.run.run_id
        house.model.requests.clear()
        stage.reached()
        if outcome := await stage.cut(first, at, durable=durable):
            assert whole(outcome) == WHOLE
            break
        cuts += 1
        reached = stage.reached()
        second = await stage.again(first)
        told = await stage.told(run_id)
        if told.unknown:
            await refuse(stage, second, reached)
            continue
        house.model.requests.clear()
        outcome = await stage.cut(second, 1, durable=durable)
        more = stage.reached()
        assert story.repeated(told, house.model.requests, more) == [], f"row {at}"
        reached += more
        if outcome is None:
            third = await stage.again(second)
            told = await stage.told(run_id)
            if told.unknown:
                await refuse(stage, third, [*reached, *more])
                continue
            house.model.requests.clear()
            outcome = await house.execute(third)
            more = stage.reached()
            assert story.repeated(told, house.model.requests, more) == [], f"row {at}"
            reached += more
        assert outcome is not None
        assert whole(outcome) == WHOLE, f"row {at}"
        assert story.twice_written(reached) == []
        await forget(stage, run_id)
    # 8 turns, 8 calls and 1 write of a store, each with two rows, and three prompts.
    assert cuts >= 30


async def refuse(stage: Stage, context: RunContext, reached: list[str]) -> None:
    """A write of unknown outcome ends the run, and nothing is asked or called any more."""
    stage.house.model.requests.clear()
    outcome = await stage.house.execute(context)

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.INTERRUPTED)
    assert "POST" in (outcome.error or "")
    assert stage.house.model.requests == []
    assert stage.reached() == []
    assert story.twice_written(reached) == []
    await forget(stage, context.run.run_id)


async def forget(stage: Stage, run_id: str) -> None:
    """End the run in the ledger, out of the next one's way and out of the writes of this hour."""
    ledger = stage.house.ledger
    found = await ledger.find_run(run_id)
    assert found is not None
    done = Outcome(status=RunStatus.CANCELLED)
    assert await ledger.finish(found, done, at=stage.house.clock.now(), plan=lambda _: Plan())


async def attempt(stage: Stage, context: RunContext, rows: int) -> RunContext:
    """Execute until so many rows are durable; the context of the resumed run."""
    assert await stage.cut(context, rows, durable=True) is None
    resumed = await stage.again(context)
    stage.house.model.requests.clear()
    stage.reached()
    return resumed


async def test_the_prompt_is_the_one_on_record(stage: Stage) -> None:
    """The event's block has the same id, the last run is the one told of, and time stands still."""
    previous = Previous(run_id="run_p", summary="before", finished_at=stage.house.clock.now())
    first = await stage.house.context(stage.automation(), event={"n": 1}, previous=previous)
    assert await stage.cut(first, 5, durable=True) is None
    before = stage.house.model.requests[0]
    again = await stage.again(first, previous=replace(previous, summary="later"))
    stage.house.model.requests.clear()

    outcome = await stage.house.execute(again)

    assert outcome.status is RunStatus.COMPLETED
    second = stage.house.model.requests[0]
    assert (second.user, second.system) == (before.user, before.system)
    assert second.body["messages"][: len(before.body["messages"])] == before.body["messages"]


async def test_what_is_new_means_what_it_meant(stage: Stage) -> None:
    """`query_store` counts from the last run that the prompt tells of, not from a newer one."""
    house, clock = stage.house, stage.house.clock
    house.model.answer(lambda _: None)
    house.model.script(
        Turn(calls=[Call("read_connection", {"name": "crm"})]),
        Turn(calls=[Call("query_store", {"store": "seen"})]),
        Turn(text="done"),
    )
    item = StoreItem(key="new", value={"n": 1}, updated_at=clock.now())
    await house.ledger.put("seen", item, expires_at=None, step=None)
    old = Previous(run_id="r", summary="", finished_at=clock.now() - timedelta(days=1))
    newer = Previous(run_id="s", summary="", finished_at=clock.now() + timedelta(days=1))
    first = await house.context(stage.automation(), previous=old)
    assert await stage.cut(first, 5, durable=True) is None

    await house.execute(await stage.again(first, previous=newer))

    assert '"key":"new"' in house.model.requests[-1].results[-1]


async def test_more_than_an_hour_in_the_queue_is_too_long(stage: Stage) -> None:
    """It was resumed in time, and then nobody could carry it."""
    first = await stage.house.context(stage.automation())
    resumed = await attempt(stage, first, 4)
    later = Later(stage.house.clock.now() + timedelta(minutes=61))
    services = stage.house.executor.services
    stage.house.executor.services = replace(services, clock=later)

    outcome = await stage.house.execute(resumed)

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.INTERRUPTED)
    assert "1 h ago" in (outcome.error or "")
    assert stage.house.model.requests == []


class Later(HurriedClock):
    """The machine's clock, some time later."""

    def __init__(self, now: datetime) -> None:
        super().__init__()
        self._now = now

    def now(self) -> datetime:
        return self._now


async def test_a_retry_begins_afresh(stage: Stage) -> None:
    """What stands before it in the journal answers nothing, though the run was resumed once."""
    house = stage.house
    first = await house.context(stage.automation())
    resumed = await attempt(stage, first, 4)
    ledger, now = house.ledger, house.clock.now()
    failure = Outcome(status=RunStatus.FAILED, reason="error")
    await ledger.finish(resumed.run, failure, at=now, plan=lambda _: Plan(), retry_at=now)
    [run] = await ledger.claim(limit=1, overall=1000, now=now)

    outcome = await house.execute(replace(resumed, run=run, journal=journal_of(house, run)))

    assert (run.attempt, run.resumes) == (3, 1)
    assert outcome.status is RunStatus.COMPLETED
    assert len(house.model.requests) == story.TURNS


async def test_a_model_that_failed_is_not_asked_again(stage: Stage) -> None:
    """The first of two models refused before the cut; the second answers after it."""
    house = stage.house
    house.settings["model"] = ("local:bad", "local:good")
    house.model.answer(
        lambda asked: Turn(status=503, error="down") if asked.model == "bad" else Turn(text="done")
    )
    first = await house.context(stage.automation())
    # Its prompt, its first turn, that this failed, and that the second began.
    resumed = await attempt(stage, first, 4)

    outcome = await house.execute(resumed)

    assert (outcome.text, outcome.model) == ("done", "local:good")
    assert [each.model for each in house.model.requests] == ["good"]


async def test_what_a_gone_model_said_counts_whoever_is_asked_now(stage: Stage) -> None:
    house = stage.house
    first = await house.context(stage.automation())
    resumed = await attempt(stage, first, 3)
    house.settings["model"] = ("local:other",)

    outcome = await house.execute(replace(resumed, snapshot=house.snapshot()))

    assert outcome.status is RunStatus.COMPLETED
    assert {each.model for each in house.model.requests} == {"other"}
    assert len(house.model.requests) == story.TURNS - 1


async def test_calls_of_a_connection_that_is_gone_stand_and_new_ones_are_refused(
    full_stage: Stage,
) -> None:
    """Cut off when one of three parallel calls had its outcome, or all had."""
    stage = full_stage
    house = stage.house
    first = await house.context(stage.automation())
    resumed = await attempt(stage, first, 9)
    told = await stage.told(first.run.run_id)
    house.connections.clear()
    house.model.answer(lambda _: None)

    outcome = await house.execute(replace(resumed, snapshot=house.snapshot()))

    assert outcome.status is RunStatus.COMPLETED
    assert stage.reached() == []
    results = house.model.requests[0].results
    assert any("lookup" in step for _, step in told.done) or len(told.done) > 1
    assert sum("refused" in each for each in results) == 3 - (len(told.done) - 1)


async def test_a_call_whose_arguments_held_a_secret_is_not_made_from_the_journal(
    stage: Stage,
) -> None:
    house = stage.house
    house.model.answer(lambda _: None)
    call = Call(
        "request", {"connection": "crm", "endpoint": "/x", "params": {"q": "s3cr3t-canary"}}
    )
    house.model.script(Turn(calls=[call]))
    first = await house.context(stage.automation())
    resumed = await attempt(stage, first, 3)

    outcome = await house.execute(resumed)

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.INTERRUPTED)
    assert "secret" in (outcome.error or "")
    assert stage.reached() == []


async def test_an_answer_that_is_too_large_to_keep_is_a_gap(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("amodal_rt.executors.agent.responses.RESPONSE_BYTES", 100)
    first = await stage.house.context(stage.automation())
    resumed = await attempt(stage, first, 4)

    outcome = await stage.house.execute(resumed)

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.INTERRUPTED)
    assert "not kept whole" in (outcome.error or "")
    assert stage.house.model.requests == []


async def test_the_journal_shown_to_people_has_no_whole_answers(stage: Stage) -> None:
    await stage.house.run(stage.automation())

    finished = stage.house.of(EntryType.TURN_FINISHED)
    assert all("response" in each.data for each in finished)
    assert not any("'response'" in str(entry(each)) for each in finished)
    assert "key-canary" not in stage.house.journal_text()
