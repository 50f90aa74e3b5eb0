"""An agent's parked write: who decides on it, what is checked then, and how it is made."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from agent_house import AgentHouse, calls_then_done, request
from parking_house import ASKING, BOSS, kept, performing, writer

from amodal_rt.domain.automation import (
    Approvals,
    Pin,
    WriteGrant,
)
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.parked import ParkedStatus, ParkedWrite
from amodal_rt.domain.secret import SecretRef
from amodal_rt.errors import AmodalError, DeniedError
from amodal_rt.operations.parked import counts_of
from amodal_rt.ports import Caller
from amodal_rt.testing.model_server import Call


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
