"""A run that is cut off at any of its journal's rows goes on from there and repeats nothing."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import resume_story as story
from agent_house import AgentHouse, RunJournal

from amodal_rt.domain.automation import Automation, Limits, WriteLimits
from amodal_rt.domain.connection import Access, AccessRule, Intent, Store
from amodal_rt.domain.delivery import Plan
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import FailedReason, Run, RunStatus
from amodal_rt.ports import RunContext

ROWS = 32
"""More rows than a whole run journals: the sweep ends by itself."""


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
        task = asyncio.create_task(self.house.executor.execute(replace(context, journal=journal)))
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


def journal_of(house: AgentHouse, run: Run) -> RunJournal:
    return RunJournal(house.ledger, run.run_id, house.redactor, attempt=run.attempt)


@pytest.fixture
def stage(house: AgentHouse) -> Stage:
    house.rest()
    house.mcp(access=Access(tools=(AccessRule(match="lookup", intent=Intent.READ),)))
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
    stage: Stage, durable: bool
) -> None:
    """Twice in a row at each row, the second time at the next row that it writes."""
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
            outcome = await house.executor.execute(third)
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
    outcome = await stage.house.executor.execute(context)

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
