"""An agent whose write is parked is told so, and its run ends there without another word."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from agent_house import AgentHouse, Held, HouseCatalogue, calls_then_done, request

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.delivery.write_alerts import WriteAlerts
from amodal_rt.domain.automation import (
    Approvals,
    Automation,
    Definition,
    Limits,
    Pin,
    WriteGrant,
    WriteLimits,
)
from amodal_rt.domain.connection import Access, AccessRule, Confirm
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.parked import ParkedStatus, ParkedWrite
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.errors import AmodalError, DeniedError
from amodal_rt.executors.acting.performing import ParkedWrites
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.parked import Pauses, Writes, counts_of
from amodal_rt.ports import Caller, ParkedFilter
from amodal_rt.testing.model_server import Call, Turn

ASKING = Access(
    endpoints=(AccessRule(match="POST /deals", confirm=Confirm.APPROVE, reason="money"),),
    tools=(AccessRule(match="set_item", confirm=Confirm.APPROVE),),
)
BOSS = Caller(actor="boss", door="cli")


@pytest.fixture
def asking(house: AgentHouse) -> AgentHouse:
    house.rest(access=ASKING)
    house.mcp(access=ASKING)
    return house


def writer(house: AgentHouse, **changed: Any) -> Automation:
    given: dict[str, Any] = {"write_enabled": True}
    return house.automation(**(given | changed))


async def kept(house: AgentHouse) -> list[ParkedWrite]:
    return (await house.ledger.list_parked(ParkedFilter()))[::-1]


async def test_the_model_is_not_asked_again_and_the_other_calls_of_its_turn_are_made(
    asking: AgentHouse,
) -> None:
    wish = {"amount": 7, "note": "for \u202ethe books"}
    calls = [request("POST", "/deals?dry=1", data=wish, headers={"X-A": "b"}), request()]
    asking.model.script(Turn(text="I shall pay.", calls=calls), Turn(text="never asked"))

    outcome = await asking.run(writer(asking))

    [write] = await kept(asking)
    assert (outcome.status, outcome.reason) == (RunStatus.COMPLETED, "awaiting_approval")
    assert outcome.text is not None
    assert outcome.text.startswith("I shall pay.\n\nPOST /deals of crm waits for a person's")
    assert write.write_id in outcome.text
    assert outcome.wrote
    assert len(asking.model.requests) == 1
    assert [each.method for each in asking.service.requests] == ["GET"]
    assert write.call == {
        "connection": "crm",
        "method": "POST",
        "endpoint": "/deals?dry=1",
        "data": wish,
        "headers": {"X-A": "b"},
    }
    assert "needs a person's approval (money)" in write.why
    assert write.expires_at - write.asked_at == timedelta(days=7)
    [entry] = asking.of(EntryType.WRITE_PARKED)
    assert (entry.step, entry.data["write_id"]) == ("call_1", write.write_id)


async def test_a_sub_agent_s_write_ends_the_whole_run(asking: AgentHouse) -> None:
    def answer(asked: Any) -> Turn:
        if asked.user == "inner":
            return Turn(calls=[request("POST", "/deals")])
        return Turn(calls=[Call("dispatch_task", {"task": "inner"})])

    asking.model.answer(answer)

    outcome = await asking.run(writer(asking))

    assert outcome.reason == "awaiting_approval"
    assert len(asking.model.requests) == 2
    assert len(await kept(asking)) == 1


async def test_what_is_not_allowed_is_refused_and_parked_by_nobody(asking: AgentHouse) -> None:
    secret = {"note": f"key {asking.environment['CRM_TOKEN']}"}
    asking.model.script(*calls_then_done(request("POST", "/deals", data=secret)))
    outcome = await asking.run(writer(asking))
    reading = asking.model.requests[-1].results
    asking.model.script(*calls_then_done(request("POST", "/deals")))
    await asking.run(writer(asking, write_enabled=False))

    assert outcome.reason is None
    assert "the call holds a secret" in reading[0]
    assert "this automation is read-only" in asking.model.requests[-1].results[0]
    assert await kept(asking) == []


async def test_a_tainted_run_aims_a_write_for_a_person_no_further_than_another(
    asking: AgentHouse,
) -> None:
    stranger = {"to": "mallory@evil.example"}
    asking.model.script(*calls_then_done(request("POST", "/deals", data=stranger)))

    await asking.run(writer(asking), event=stranger)

    assert "it reaches only what files name" in asking.model.requests[1].results[0]
    assert await kept(asking) == []


async def test_parked_writes_count_among_those_of_the_run(asking: AgentHouse) -> None:
    asking.model.script(*calls_then_done(*[request("POST", "/deals")] * 4))

    await asking.run(writer(asking, limits=Limits(writes=WriteLimits(per_run=2))))

    assert len(await kept(asking)) == 2
    assert len(asking.of(EntryType.TOOL_DENIED)) == 2


async def test_cut_off_after_it_was_kept_the_run_ends_without_asking_or_keeping_again(
    asking: AgentHouse,
) -> None:
    asking.model.script(*calls_then_done(request("POST", "/deals")))
    context = await asking.context(writer(asking))
    await asking.executor.execute(context)
    again = replace(context, run=replace(context.run, attempt=2, resumes=1))

    outcome = await asking.executor.execute(again)

    assert outcome.reason == "awaiting_approval"
    assert len(asking.model.requests) == 1
    assert len(await kept(asking)) == 1


@dataclass(frozen=True)
class Files(HouseCatalogue):
    """The house's workspace with one automation in it."""

    automation: Automation

    def snapshot(self) -> Snapshot:
        definition = Definition(
            automation=self.automation, hash="hash", document="{}", file="automations/auto.json"
        )
        state = AutomationState(name="auto", file=definition.file, definition=definition)
        return replace(self.house.snapshot(), automations={"auto": state})


@asynccontextmanager
async def performing(house: AgentHouse, automation: Automation) -> AsyncIterator[Writes]:
    """What decides, with what performs at work."""
    signals = ProcessSignals()
    performer = ParkedWrites(
        house.executor.services,
        ledger=house.ledger,
        catalogue=Files(house, automation),
        messages=WriteAlerts(house.ids),
        signals=signals,
        lease=Held(),
    )
    task = asyncio.create_task(performer.run())
    try:
        check = performer.checked
        facts = KnownFacts(house.ledger, signals)
        await facts.reread()
        pauses = Pauses(Files(house, automation), facts)
        yield Writes(
            house.ledger,
            pauses,
            check=check,
            pinned=performer.pinned,
            signals=signals,
            clock=house.clock,
        )
    finally:
        await performer.stop()
        await task


async def test_an_approved_tool_is_called_once_with_the_key_of_the_write(
    asking: AgentHouse,
) -> None:
    automation = writer(asking)
    given: Mapping[str, object] = {"name": "a", "value": "b"}
    asking.model.script(*calls_then_done(Call("tools__set_item", dict(given))))
    await asking.run(automation)
    [write] = await kept(asking)

    async with performing(asking, automation) as writes:
        done = await writes.decide(BOSS, write.write_id, approved=True, note=None)

    assert write.call == {"connection": "tools", "tool": "set_item", "arguments": given}
    assert done.status == "performed"
    [call] = asking.mcp_calls()
    assert (call["tool"], call["key"]) == ("set_item", write.write_id)


async def test_without_an_answer_in_time_it_is_unknown_and_not_made_again(
    asking: AgentHouse,
) -> None:
    automation = writer(asking)
    asking.model.script(*calls_then_done(request("POST", "/deals")))
    await asking.run(automation)
    [write] = await kept(asking)
    asking.clock.factor = 0.005
    asking.service.answers = [3.0]

    async with performing(asking, automation) as writes:
        done = await writes.decide(BOSS, write.write_id, approved=True, note=None)

    assert (done.status, done.outcome) == ("unknown", {"error": "no answer within 30 seconds"})
    assert len(asking.service.requests) == 1


async def test_what_has_begun_does_not_leave_once_another_node_may_have_taken_over(
    asking: AgentHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    automation = writer(asking)
    asking.model.script(*calls_then_done(request("POST", "/deals")))
    await asking.run(automation)
    [write] = await kept(asking)
    rule_on = asking.ledger.rule_on_parked

    async def retired_meanwhile(*words: Any, **keys: Any) -> ParkedWrite | None:
        found = await rule_on(*words, **keys)
        if found is not None and found.status is ParkedStatus.PERFORMING:
            await asking.ledger.join(host="h", pid=1, version="1", lease=timedelta(seconds=15))
        return found

    monkeypatch.setattr(asking.ledger, "rule_on_parked", retired_meanwhile)
    async with performing(asking, automation) as writes:
        done = await writes.decide(BOSS, write.write_id, approved=True, note=None)

    assert (done.status, asking.service.requests) == ("unknown", [])


async def test_what_nobody_decided_on_expires_and_stays_undone(asking: AgentHouse) -> None:
    automation = writer(asking, approvals=Approvals(expires=timedelta(milliseconds=1)))
    asking.model.script(*calls_then_done(request("POST", "/deals")))
    await asking.run(automation)
    [write] = await kept(asking)

    async with performing(asking, automation):
        for _ in range(1000):
            if (await kept(asking))[0].status == "expired":
                break
            await asyncio.sleep(0.01)

    entries = await asking.ledger.entries(write.run_id)
    assert entries[-1].type is EntryType.APPROVAL_EXPIRED
    assert asking.service.requests == []


async def test_whoever_proposes_parks_each_write_of_the_turn_and_makes_none(
    asking: AgentHouse,
) -> None:
    calls = [
        request("POST", "/notes", data={"n": 1}),
        Call("tools__set_item", {"name": "a", "value": "b"}),
        request("GET", "/notes"),
    ]
    asking.model.script(*calls_then_done(*calls))

    outcome = await asking.run(writer(asking, write_enabled=False, proposes=True))

    assert outcome.reason == "awaiting_approval"
    assert [each.label for each in await kept(asking)] == ["POST /notes", "set_item"]
    assert [each.method for each in asking.service.requests] == ["GET"]
    assert "A person decides on each write" in asking.model.requests[0].system


async def test_an_agent_may_ask_for_a_person_of_its_own_accord(asking: AgentHouse) -> None:
    wish = {"connection": "crm", "endpoint": "/notes", "data": {"n": 1}, "why": "it is\nunusual"}
    tool = {"connection": "tools", "tool": "set_item", "arguments": {"name": "a"}, "why": "so"}
    read = {"connection": "crm", "method": "GET", "endpoint": "/notes", "why": "so"}
    calls = [Call("propose_write", each) for each in (wish, tool, read)]
    asking.model.script(*calls_then_done(*calls))
    await asking.run(writer(asking))
    asking.model.script(*calls_then_done(calls[0]))
    await asking.run(writer(asking, write_enabled=False))

    note, item = await kept(asking)
    assert note.call == {
        "connection": "crm", "method": "POST", "endpoint": "/notes", "data": {"n": 1},
    }  # fmt: skip
    assert note.why == "the agent asks, and says: it is unusual"
    assert item.call == {"connection": "tools", "tool": "set_item", "arguments": {"name": "a"}}
    assert "the agent asks, and says: so" in item.why
    assert "propose_write" in asking.model.requests[0].tools
    assert "propose_write" not in asking.model.requests[-1].tools
    assert asking.service.requests == []


PINNED = WriteGrant(
    connection="crm", endpoint="POST /deals", pins=(Pin(("data", "to"), ("ada", "bob")),)
)
EDITS: dict[str, tuple[dict[str, object], str | None]] = {
    "another value": ({"data": {"to": "bob"}}, None),
    "what a pin forbids": ({"data": {"to": "eve"}}, "writes"),
    "another path": ({"endpoint": "/deals/../x"}, "bad_endpoint"),
    "an own key": ({"headers": {"Authorization": "x"}}, "bad_header"),
    "another connection": ({"connection": "tools"}, "bad_call"),
    "a tool": ({"tool": "set_item"}, "bad_call"),
    "a secret": ({"data": {"to": "ada", "n": "s3cr3t-canary"}}, "secret_in_call"),
    "a strange key": ({"url": "http://x"}, "bad_call"),
}


@pytest.mark.parametrize("name", EDITS)
async def test_an_edited_call_is_checked_against_everything(asking: AgentHouse, name: str) -> None:
    automation = writer(asking, writes=(PINNED,))
    change, code = EDITS[name]
    asking.model.script(*calls_then_done(request("POST", "/deals", data={"to": "ada"})))
    await asking.run(automation)
    [write] = await kept(asking)
    call = {**write.call, **change}

    async with performing(asking, automation) as writes:
        if code is None:
            done = await writes.decide(BOSS, write.write_id, approved=True, note=None, call=call)
            assert (done.status, done.original) == ("performed", write.call)
            assert done.verdict is not None
            assert done.verdict.edited
            assert [json.loads(each.body) for each in asking.service.requests] == [{"to": "bob"}]
            counts = await counts_of(asking.ledger, "auto")
            assert (counts["approved"], counts["edited"]) == (1, 1)
            return
        with pytest.raises(AmodalError) as refused:
            await writes.decide(BOSS, write.write_id, approved=True, note=None, call=call)

    assert refused.value.code == code
    assert replace((await kept(asking))[0], told=False) == write
    assert asking.service.requests == []


async def test_an_edit_that_python_takes_for_the_same_is_one(asking: AgentHouse) -> None:
    automation = writer(asking)
    asking.model.script(*calls_then_done(request("POST", "/deals", data={"urgent": 1})))
    await asking.run(automation)
    [write] = await kept(asking)
    call = {**write.call, "data": {"urgent": True}}

    async with performing(asking, automation) as writes:
        done = await writes.decide(BOSS, write.write_id, approved=True, note=None, call=call)

    assert done.original == write.call
    assert asking.service.requests[0].body == b'{"urgent": true}'


async def test_a_url_that_the_environment_has_changed_since_is_somebody_else(
    asking: AgentHouse,
) -> None:
    asking.environment["CRM_URL"] = "http://127.0.0.1:9/staging"
    asking.rest(access=ASKING, base_url=SecretRef("CRM_URL"))
    automation = writer(asking)
    asking.model.script(*calls_then_done(request("POST", "/deals")))
    await asking.run(automation)
    [write] = await kept(asking)
    asking.environment |= {"CRM_URL": asking.service.origin, "CRM_TOKEN": "a-newer-one"}

    async with performing(asking, automation) as writes:
        done = await writes.decide(BOSS, write.write_id, approved=True, note=None)

    assert done.status == "refused"
    assert "CRM_URL" not in str(done.outcome)
    assert "a URL that it takes from the environment" in str(done.outcome)
    assert asking.service.requests == []


async def test_only_those_who_may_decide_do(asking: AgentHouse) -> None:
    automation = writer(asking, approvals=Approvals(approvers=("boss", "token:*")))
    asking.model.script(*calls_then_done(request("POST", "/deals")))
    await asking.run(automation)
    [write] = await kept(asking)

    async with performing(asking, automation) as writes:
        with pytest.raises(DeniedError):
            await writes.decide(
                Caller(actor="ada", door="cli"), write.write_id, approved=True, note=None
            )
        caller = Caller(actor="token:ops", door="api")
        denied = await writes.decide(caller, write.write_id, approved=False, note=None)

    assert denied.status == "denied"
