"""An agent whose write is parked is told so, and its run ends there without another word."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from agent_house import AgentHouse, calls_then_done, request
from parking_house import kept, writer

from amodal_rt.domain.automation import (
    Limits,
    WriteLimits,
)
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import RunStatus
from amodal_rt.testing.model_server import Call, Turn


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
