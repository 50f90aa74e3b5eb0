"""A walk that is cut off at any row goes on where it was, and repeats nothing."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from workflow_house import Ran, WorkflowHouse, graph, node

from amodal_rt.domain.automation import Limits, WriteLimits
from amodal_rt.domain.connection import Store
from amodal_rt.domain.delivery import Plan, Target, TargetType
from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.workflow import Workflow
from amodal_rt.ports import RunContext
from amodal_rt.testing.model_server import Turn

SCRIPT = {"kind": "Script", "id": "count", "script": "# POST /count\n1"}
EFFECTS = {EntryType.TOOL_STARTED, EntryType.WRITE_STARTED, EntryType.TURN_STARTED}
OUTCOMES = {
    EntryType.TOOL_FINISHED, EntryType.WRITE_FINISHED, EntryType.TURN_FINISHED,
    EntryType.TOOL_FAILED, EntryType.WRITE_FAILED,
}  # fmt: skip


def story() -> Workflow:
    """A graph that does everything once: reads, writes, branches, a loop, an agent, a store."""
    post = {"connection": "crm", "method": "POST"}
    put = {"store": "seen", "action": "put", "key": "k"}
    asked = {"inputs.last.status": 200}
    return graph(
        node("trigger", "start", "read"),
        node("request", "read", "both", connection="crm", endpoint="/read"),
        node("parallel", "both", "count", branches=["a", "b"]),
        node("request", "a", "a2", **post, endpoint="/a"),
        node("transform", "a2", value="{{ inputs.a.status }}"),
        node("workflow", "b", workflow="inner", payload={"n": 1}),
        node("script", "count", "keep", script="count"),
        node("store", "keep", "say", **put, value="{{ inputs.count }}"),
        node("emit", "say", "tell", type="order.checked", data="{{ inputs.a2 }}"),
        node("deliver", "tell", "think", targets=["ops"], message="{{ inputs.both.b.body }}"),
        node("agent", "think", "bad", prompt="Add up {{ inputs.count }}."),
        node("request", "bad", connection="none", endpoint="/", on_error="loop"),
        node("condition", "loop", filter=asked, on_true="end", on_false="last", max_visits=4),
        node("request", "last", "loop", **post, endpoint="/last"),
        node("transform", "end", value=["{{ inputs.count }}", "{{ inputs.think.text }}"]),
        data=[SCRIPT],
    )  # fmt: skip


@dataclass
class Stage:
    """The story in a house."""

    flows: WorkflowHouse

    async def context(self) -> RunContext:
        limits = Limits(writes=WriteLimits(per_hour=100_000))
        automation = self.flows.flow(story(), write_enabled=True, limits=limits)
        return await self.flows.context(automation, event={"n": 1})

    def writes(self) -> Counter[str]:
        asked = self.flows.service.requests
        return Counter(f"{each.method} {each.path}" for each in asked if each.method == "POST")

    async def whole(self) -> Outcome:
        outcome = await self.flows.go(await self.context())
        assert isinstance(outcome, Outcome)
        return outcome


async def counting(names: Any, functions: Any) -> Ran:
    found = await functions["request"]("crm", "POST", "/count")
    return Ran({"n": found["status"], "seen": names["inputs"]["both"]["a"]}, ("counted",))


async def making(names: Any, functions: Any) -> Ran:
    return Ran(names["payload"]["n"], ("made",))


@pytest.fixture
def stage(flows: WorkflowHouse) -> Stage:
    flows.rest()
    flows.settings["targets"] = {
        "ops": Target(type=TargetType.WEBHOOK, label="#ops", url="https://ops.example/x")
    }
    flows.stores["seen"] = Store(name="seen", hash="s", schema={})
    flows.sandbox.scripts |= {"count": counting, "make": making}
    flows.model.answer(lambda asked: Turn(text="the sum"))
    flows.workflows["inner"] = graph(
        node("script", "make", "ask", script="make"),
        node("request", "ask", connection="crm", endpoint="/inner/{{ inputs.make }}"),
        data=[{"kind": "Script", "id": "make", "script": "1"}],
    )
    return Stage(flows)


def repeated(before: list[Entry], after: list[Entry]) -> list[str]:
    """Steps with an outcome before whose effect began once more after."""
    done = {(each.parent, each.step) for each in before if each.type in OUTCOMES}
    new = after[len(before) :]
    again = [each for each in new if each.type in EFFECTS and (each.parent, each.step) in done]
    return [f"{each.type} {each.step}" for each in again]


async def test_the_story_is_walked_whole(stage: Stage) -> None:
    outcome = await stage.whole()

    assert (outcome.status, outcome.error) == (RunStatus.COMPLETED, None)
    assert outcome.payload == [{"n": 200, "seen": 200}, "the sum"]
    assert (outcome.output, outcome.usage.turns) == (("made", "counted"), 1)
    assert stage.writes() == {"POST /a": 1, "POST /count": 1, "POST /last": 1}


@pytest.mark.parametrize("durable", [True, False], ids=["after", "before"])
async def test_cut_off_at_any_row_it_goes_on_and_repeats_nothing(
    stage: Stage, durable: bool
) -> None:
    flows = stage.flows
    whole = await stage.whole()
    rows, ends = len(flows.entries), Counter[str]()
    for at in range(1, rows + 1):
        flows.service.requests.clear()
        flows.model.requests.clear()
        context = await stage.context()
        if await flows.cut(context, at, durable=durable) is not None:
            break
        before = await flows.ledger.entries(context.run.run_id)
        again = await flows.again(context)
        outcome = await flows.go(again)

        assert isinstance(outcome, Outcome)
        assert repeated(before, flows.entries) == [], f"row {at}"
        assert max(stage.writes().values(), default=1) == 1, f"row {at}"
        ends[f"{outcome.status.value} {outcome.reason}"] += 1
        if outcome.status is RunStatus.COMPLETED:
            assert shown(outcome) == shown(whole), f"row {at}"
        # A run that ended may not count against the next.
        await flows.ledger.finish(again.run, outcome, at=flows.clock.now(), plan=lambda _: _plan())

    cut_off_in_writes = ends.pop("failed interrupted", 0)
    assert list(ends) == ["completed None"]
    # Once its row stands, a write that was cut off is unknown: nobody repeats it.
    assert cut_off_in_writes == (3 if durable else 0) or cut_off_in_writes <= 6
    assert ends["completed None"] > 40


async def test_cut_off_twice_it_still_goes_on(stage: Stage) -> None:
    flows = stage.flows
    whole = await stage.whole()
    rows = len(flows.entries)
    for at in range(3, rows - 3, 7):
        flows.service.requests.clear()
        context = await stage.context()
        assert await flows.cut(context, at, durable=False) is None
        again = await flows.again(context)
        last: Outcome | Waiting | None = await flows.cut(again, 6, durable=False)
        if last is None:
            last = await flows.go(await flows.again(again))

        assert isinstance(last, Outcome)
        if last.status is RunStatus.COMPLETED:
            assert shown(last) == shown(whole), f"row {at}"
        assert max(stage.writes().values(), default=1) == 1, f"row {at}"


async def test_what_is_kept_owed_and_emitted_is_so_once(stage: Stage) -> None:
    """Cut off between the transaction of an effect of the ledger and the row behind it."""
    flows = stage.flows
    await stage.whole()
    kinds = (EntryType.STORE_WRITTEN, EntryType.DELIVERY_OWED)
    for step in ("keep/store", "tell/deliver", "say/emit_event"):
        context = await stage.context()
        numbers = [
            number
            for number, each in enumerate(_recorded(flows.entries), start=1)
            if each.step == step and each.type is EntryType.TOOL_FINISHED
        ]
        await flows.cut(context, numbers[0], durable=False)
        outcome = await flows.go(await flows.again(context))

        assert isinstance(outcome, Outcome)
        assert outcome.status is RunStatus.COMPLETED
        assert Counter(each.step for each in flows.of(*kinds)).most_common(1)[0][1] == 1
        assert len(flows.of(EntryType.EVENT_EMITTED)) == 1


async def test_a_node_that_is_there_no_more_is_a_gap(stage: Stage) -> None:
    flows = stage.flows
    context = await stage.context()
    await flows.cut(context, 30, durable=True)
    other = flows.flow(graph(node("trigger", "start", "x"), node("transform", "x", value=1)))
    again = await flows.again(context)
    again = _with(again, other)

    outcome = await flows.go(again)

    assert isinstance(outcome, Outcome)
    assert outcome.reason == "interrupted"
    assert "there is no node read any more" in (outcome.error or "")


async def test_a_retry_by_rule_begins_afresh(stage: Stage) -> None:
    flows = stage.flows
    context = await stage.context()
    await flows.cut(context, 12, durable=True)
    now = flows.clock.now()
    failed = Outcome(status=RunStatus.FAILED, reason="error")
    await flows.ledger.finish(
        context.run, failed, at=now, plan=lambda _: _plan(), retry_at=now - timedelta(seconds=1)
    )

    outcome = await flows.go(await flows.again(context, parked=True))

    assert isinstance(outcome, Outcome)
    assert outcome.status is RunStatus.COMPLETED
    assert len([e for e in flows.of(EntryType.NODE_STARTED) if e.step == "start"]) == 2


def shown(outcome: Outcome) -> str:
    return json.dumps([outcome.payload, outcome.output, outcome.usage.document(), outcome.model])


def _recorded(entries: list[Entry]) -> list[Entry]:
    """Those that go through the run's own journal."""
    other = (EntryType.STORE_WRITTEN, EntryType.DELIVERY_OWED, EntryType.EVENT_EMITTED)
    return [each for each in entries if each.type not in other]


def _plan() -> Any:
    return Plan()


def _with(context: RunContext, automation: Any) -> RunContext:
    return replace(context, definition=replace(context.definition, automation=automation))
