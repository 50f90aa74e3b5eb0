"""A model that always tries to write reaches nothing without `writeEnabled`."""

import json
from dataclasses import replace
from typing import Any

import pytest
from agent_house import AgentHouse, calls_then_done, request

from amodal_rt.domain.automation import Limits, Pin, WriteGrant, WriteLimits
from amodal_rt.domain.connection import Access, AccessRule, Intent
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import RunStatus
from amodal_rt.testing.model_server import Call, Turn

MUTATION = "mutation { remove(id: 1) { id } }"

ATTEMPTS: dict[str, Call] = {
    **{each: request(each, "/deals", data={}) for each in ("POST", "PUT", "PATCH", "DELETE")},
    "lower case": request("delete", "/deals/1"),
    "says read": request("POST", "/deals", intent="read"),
    "says confirmed": request("POST", "/deals", intent="confirmed_write"),
    "get that says write": request("GET", "/deals", intent="write"),
    "override header": request("GET", "/deals", headers={"X-HTTP-Method-Override": "DELETE"}),
    "override header, odd": request("GET", "/deals", headers={"x_method_override": "PUT"}),
    "override parameter": request("GET", "/deals", params={"_method": "DELETE"}),
    "override in the endpoint": request("GET", "/deals?_method=DELETE"),
    "graphql body": request("POST", "/graphql", data={"query": MUTATION}),
    "graphql batch": request("POST", "/graphql", data=[{"query": "{ a }"}, {"query": MUTATION}]),
    "graphql text": request("POST", "/graphql", data=json.dumps({"query": MUTATION})),
    "graphql in the URL": request("GET", "/graphql", params={"query": MUTATION}),
    "graphql in the endpoint": request("GET", "/graphql?query=mutation%20%7B%20a%20%7D"),
    "graphql subscription": request("POST", "/graphql", data={"query": "subscription { a }"}),
    "read rule, other path": request("POST", "/search/../deals"),
    "read rule, encoded": request("POST", "/search%2f..%2fdeals"),
    "read rule, doubled": request("POST", "//search"),
    "read rule, other case": request("POST", "/SEARCH"),
    "absolute URL": request("POST", "http://127.0.0.1:1/deals"),
    "absolute path": request("GET", "//127.0.0.1/deals"),
    "user information": request("GET", "@127.0.0.1/deals"),
    "strange method": request("PURGE", "/deals"),
    "line break": request("GET", "/deals", headers={"X-A": "b\r\n\r\nDELETE /deals HTTP/1.1"}),
    "own authorization": request("GET", "/deals", headers={"authorization": "Bearer mine"}),
    "other host": request("GET", "/deals", headers={"Host": "evil.example"}),
    "runtime": Call("request", {"connection": "self", "method": "POST", "endpoint": "/runs"}),
    "mcp writer that claims to read": Call("tools__delete_all", {}),
    "mcp writer": Call("tools__set_item", {"name": "a", "value": "b"}),
    "mcp over request": Call("request", {"connection": "tools", "method": "POST", "endpoint": "/"}),
}  # fmt: skip


@pytest.fixture
def armed(house: AgentHouse) -> AgentHouse:
    """Everything that could be written to, with a rule that only says what reads."""
    access = Access(
        endpoints=(
            AccessRule(match="POST /search", intent=Intent.READ),
            AccessRule(match="POST /graphql", intent=Intent.READ),
        )
    )
    house.rest(access=access)
    house.mcp()
    house.connections["self"] = replace(
        house.connections["crm"],
        name="self",
        protocol=type(house.connections["crm"].protocol)("runtime"),
    )
    return house


async def test_no_attempt_of_any_kind_reaches_a_server(armed: AgentHouse) -> None:
    armed.model.script(*calls_then_done(*ATTEMPTS.values()))

    outcome = await armed.run()

    assert outcome.status is RunStatus.COMPLETED
    assert armed.service.requests == []
    assert armed.mcp_calls() == []
    results = armed.model.requests[1].results
    assert len(results) == len(ATTEMPTS)
    assert [each for each in results if not each.startswith("refused: ")] == []
    assert len(armed.of(EntryType.TOOL_DENIED)) == len(ATTEMPTS)
    assert armed.of(EntryType.WRITE_STARTED) == []
    assert not outcome.wrote
    said = results[list(ATTEMPTS).index("POST")]
    assert '"writeEnabled": true in automations/auto.json:7' in said


async def test_no_attempt_of_a_sub_agent_reaches_a_server(armed: AgentHouse) -> None:
    def answer(asked: Any) -> Turn:
        if asked.results:
            return Turn(text="gave up")
        if asked.user == "write!":
            return Turn(calls=list(ATTEMPTS.values()))
        return Turn(calls=[Call("dispatch_task", {"task": "write!", "tools": ["*"]})])

    armed.model.answer(answer)

    await armed.run()

    assert armed.service.requests == []
    assert armed.mcp_calls() == []
    denied = armed.of(EntryType.TOOL_DENIED)
    assert len(denied) == len(ATTEMPTS)


async def test_what_access_json_calls_a_read_may_leave(armed: AgentHouse) -> None:
    armed.model.script(
        *calls_then_done(
            request("POST", "/search", data={"q": "x"}),
            request("POST", "/graphql", data={"query": "{ a }"}),
        )
    )

    await armed.run()

    assert [each.path for each in armed.service.requests] == ["/search", "/graphql"]
    assert "Idempotency-Key" not in armed.service.requests[0].headers


async def test_an_allowed_write_is_journaled_around_and_carries_a_stable_key(
    armed: AgentHouse,
) -> None:
    armed.model.script(
        *calls_then_done(
            request("POST", "/deals", data={"a": 1}, intent="write"),
            Call("tools__set_item", {"name": "a", "value": "b"}),
        )
    )

    outcome = await armed.run(armed.automation(write_enabled=True))

    run_id = armed.entries[0].run_id
    assert outcome.wrote
    [reached] = armed.service.requests
    assert (reached.method, json.loads(reached.body)) == ("POST", {"a": 1})
    assert reached.headers["Idempotency-Key"] == f"{run_id}:call_1"
    assert reached.headers["Authorization"] == "Bearer s3cr3t-canary"
    [call] = armed.mcp_calls()
    assert call["key"] == f"{run_id}:call_2"
    for step in ("call_1", "call_2"):
        rows = [each.type.value for each in armed.entries if each.step == step]
        assert rows == ["write.started", "write.finished"]


async def test_writes_stop_at_the_limit_of_a_run_and_of_an_hour(armed: AgentHouse) -> None:
    automation = armed.automation(
        write_enabled=True, limits=Limits(writes=WriteLimits(per_run=2, per_hour=3))
    )
    for expected in (2, 3, 3):
        armed.model.script(*calls_then_done(*[request("POST", "/deals")] * 4))
        await armed.run(automation)
        assert len(armed.service.requests) == expected
    reasons = " ".join(str(each.data["reason"]) for each in armed.of(EntryType.TOOL_DENIED))
    assert "limits.writes.perHour" in reasons


async def test_a_line_of_writes_covers_as_many_calls_of_a_run_as_it_says_sub_agents_included(
    armed: AgentHouse,
) -> None:
    pinned = WriteGrant(
        connection="crm",
        endpoint="POST /deals",
        pins=(Pin(("data", "owner"), ("me",)),),
        per_run=2,
    )
    right = request("POST", "/deals", data={"owner": "me"})
    wrong = request("POST", "/deals", data={"owner": "you"})

    def answer(asked: Any) -> Turn:
        if asked.results:
            return Turn(text="done")
        if asked.user == "inner":
            return Turn(calls=[wrong, right, request("PUT", "/deals")])
        return Turn(calls=[right, Call("dispatch_task", {"task": "inner"}), right, right])

    armed.model.answer(answer)

    await armed.run(armed.automation(write_enabled=True, writes=(pinned,)))

    assert [json.loads(each.body) for each in armed.service.requests] == [{"owner": "me"}] * 2
    denied = armed.of(EntryType.TOOL_DENIED)
    assert {str(each.data["rule"]) for each in denied} == {"writes"}
    assert len(denied) == 4
    assert sum("has used the 2 of writes[0]" in str(each.data["reason"]) for each in denied) == 2
    started = armed.of(EntryType.WRITE_STARTED)
    assert [each.data["rule"] for each in started] == ["writes[0]"] * 2


async def test_a_write_without_an_answer_is_unknown_and_must_not_be_repeated(
    armed: AgentHouse,
) -> None:
    armed.clock.factor = 0.01
    armed.service.answers = [5.0]
    armed.model.script(*calls_then_done(request("POST", "/deals")))

    await armed.run(armed.automation(write_enabled=True))

    [failed] = armed.of(EntryType.WRITE_FAILED)
    assert failed.data["outcome"] == "unknown"
    assert "do not repeat" in armed.model.requests[1].results[0]


async def test_allow_lists_hold_for_the_agent_and_narrow_for_sub_agents(armed: AgentHouse) -> None:
    armed.rest("billing")
    automation = armed.automation(
        connections=("crm", "tools"), tools=("crm.request", "tools.read_*"), write_enabled=True
    )

    def answer(asked: Any) -> Turn:
        if asked.results:
            return Turn(text="done")
        if asked.user == "inner":
            return Turn(
                calls=[
                    request("GET", "/inner"),
                    Call("request", {"connection": "billing", "endpoint": "/inner"}),
                ]
            )
        return Turn(
            calls=[
                Call("request", {"connection": "billing", "endpoint": "/outer"}),
                Call("tools__read_items", {}),
                Call("dispatch_task", {"task": "inner", "tools": ["tools.*", "billing.*"]}),
            ]
        )

    armed.model.answer(answer)

    await armed.run(automation)

    assert armed.service.requests == []
    assert [each["tool"] for each in armed.mcp_calls()] == ["read_items"]
    offered = armed.model.requests[0].tools
    assert "tools__read_items" in offered
    assert "tools__set_item" not in offered
    inner = next(each for each in armed.model.requests if each.user == "inner")
    assert "request" not in inner.tools
