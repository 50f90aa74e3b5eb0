"""What a run says on the bus: once, in its own name, within limits."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from agent_house import AgentHouse, RunJournal, calls_then_done

from amodal_rt.domain.event import Event
from amodal_rt.domain.event_type import EventOrigin, EventType
from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.executors.acting.emit_tool import DATA_BYTES, MOST
from amodal_rt.ports import RunContext
from amodal_rt.testing.model_server import Call

DECLARED = {
    "order.checked": EventType(
        name="order.checked", origin=EventOrigin.WORKSPACE, source="events", description="d"
    )
}


async def prepared(house: AgentHouse) -> RunContext:
    context = await house.context()
    return replace(context, snapshot=replace(context.snapshot, event_types=DECLARED))


async def say(house: AgentHouse, *calls: Call) -> tuple[Outcome, list[Event], list[Entry]]:
    house.model.script(*calls_then_done(*calls))
    context = await prepared(house)
    outcome = await house.execute(context)
    entries = await house.ledger.entries(context.run.run_id)
    return outcome, await house.ledger.unmatched(limit=100), entries


def emit(type: str = "order.checked", id: str = "", **more: Any) -> Call:
    return Call("emit_event", {"type": type, **more}, id)


async def test_a_read_only_run_says_what_happened(house: AgentHouse) -> None:
    outcome, (event,), entries = await say(
        house, emit(data={"order": 7, "note": "s3cr3t-canary"}, subject="orders/7")
    )

    run_id = entries[0].run_id
    assert outcome.status is RunStatus.COMPLETED
    assert not outcome.wrote
    assert (event.type, event.subject, event.source) == (
        "order.checked",
        "orders/7",
        "/automations/auto",
    )
    assert (event.actor, event.cause, event.depth) == (f"run:{run_id}", run_id, 1)
    assert isinstance(event.data, dict)
    assert event.data["order"] == 7
    kinds = [each.type for each in entries]
    started = kinds.index(EntryType.TOOL_STARTED)
    assert kinds[started : started + 3] == [
        EntryType.TOOL_STARTED,
        EntryType.EVENT_EMITTED,
        EntryType.TOOL_FINISHED,
    ]


async def test_no_secret_gets_onto_the_bus(house: AgentHouse) -> None:
    house.rest()

    _, (event,), _ = await say(house, emit(data={"note": "s3cr3t-canary"}))

    assert "s3cr3t-canary" not in str(event)


@pytest.mark.parametrize(
    "call",
    [
        emit("github.issues.opened"),
        emit("automation.run.failed"),
        emit("tools.deal_won"),
        emit("order.*"),
        emit(""),
        emit(data="x" * (DATA_BYTES + 1)),
        Call("emit_event", {"type": "a.b", "source": "/else"}),
        Call("emit_event", {"type": "a.b", "actor": "github:octocat"}),
    ],
)
async def test_a_run_speaks_in_no_other_name(house: AgentHouse, call: Call) -> None:
    house.mcp()

    outcome, events, entries = await say(house, call)

    refused = {EntryType.TOOL_DENIED, EntryType.TOOL_FAILED}
    assert outcome.status is RunStatus.COMPLETED
    assert events == []
    assert refused & {each.type for each in entries}


async def test_a_run_has_so_much_to_say_and_no_more(house: AgentHouse) -> None:
    calls = [emit(id=f"call_{number}", data=number) for number in range(MOST + 5)]

    _, events, entries = await say(house, *calls)

    assert len(events) == MOST
    assert sum(each.type is EntryType.TOOL_DENIED for each in entries) == 5


async def test_where_nobody_waits_for_events_the_tool_is_not_there(house: AgentHouse) -> None:
    house.model.script(*calls_then_done())
    context = await house.context()

    await house.execute(context)

    assert "emit_event" not in house.model.requests[0].text


class Cut:
    """A journal whose process ends before a row of this type is durable."""

    def __init__(self, inner: RunJournal, at: EntryType) -> None:
        self._inner, self._at, self.over = inner, at, asyncio.Event()

    async def record(self, type: EntryType, **row: Any) -> None:
        if type is self._at:
            self.over.set()
            await asyncio.Event().wait()
        await self._inner.record(type, **row)


async def test_a_run_that_goes_on_never_says_it_twice(house: AgentHouse) -> None:
    said = calls_then_done(emit(id="call_a", data={"order": 7}))
    house.model.script(*said)
    context = await prepared(house)
    assert isinstance(context.journal, RunJournal)
    journal = Cut(context.journal, EntryType.TOOL_FINISHED)
    first = asyncio.create_task(house.execute(replace(context, journal=journal)))
    await journal.over.wait()
    first.cancel()
    await asyncio.wait([first])
    run, now = context.run, house.clock.now()
    await house.ledger.resume(run, at=now)
    (resumed,) = await house.ledger.claim(limit=1, overall=10, now=now)
    house.model.script(said[1])

    again = replace(context.journal, attempt=resumed.attempt)
    outcome = await house.execute(replace(context, run=resumed, journal=again))

    entries = await house.ledger.entries(run.run_id)
    assert outcome.status is RunStatus.COMPLETED
    assert len(await house.ledger.unmatched(limit=100)) == 1
    assert sum(each.type is EntryType.EVENT_EMITTED for each in entries) == 1
    assert sum(each.type is EntryType.TOOL_FINISHED for each in entries) == 1
