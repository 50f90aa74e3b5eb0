"""`when` asks before a model is paid: a filter, a read over HTTP, a tool of an MCP server."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from agent_house import PYTHON_MCP, AgentHouse, RunJournal
from aiohttp import web

from amodal_rt.domain.automation import Automation, Gate, GateRead
from amodal_rt.domain.connection import Access, AccessRule, Intent, McpServer
from amodal_rt.domain.delivery import FailureState, Plan
from amodal_rt.domain.filter import Rule, Test
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.testing.model_server import Turn

STATUS = GateRead(connection="crm", endpoint="/status", path=("data", "version"))


def _version(number: object, **more: object) -> web.Response:
    return web.json_response({"data": {"version": number, "at": "noise"}, **more})


async def _ask(
    house: AgentHouse,
    automation: Automation,
    kind: TriggerKind = TriggerKind.CRON,
    *,
    failures: list[int] | None = None,
    **more: Any,
) -> Outcome:
    """One run as the engine has it, its outcome in the ledger; `failures` is told the counter."""
    context = await house.context(automation, **more)
    context = replace(context, run=replace(context.run, trigger=kind))
    outcome = await house.execute(context)
    house.entries = await house.ledger.entries(context.run.run_id)

    def owes(state: FailureState) -> Plan:
        if failures is not None:
            failures.append(state.consecutive)
        return Plan()

    await house.ledger.finish(context.run, outcome, at=datetime.now(UTC), plan=owes)
    return outcome


def _value(outcome: Outcome) -> str | None:
    return outcome.gate.value if outcome.gate else None


async def _kept(house: AgentHouse) -> str | None:
    return (await house.ledger.gate_value("auto")).value


def _changes(house: AgentHouse, **more: Any) -> Automation:
    house.rest(base_url=house.service.origin)
    return house.automation(gate=Gate(read=STATUS, changed=True), **more)


async def test_the_first_time_counts_as_changed_and_then_only_news_opens(
    house: AgentHouse,
) -> None:
    automation = _changes(house)
    house.service.answers = [_version(1), _version(1, other=2), _version(2)]
    house.model.script(Turn(text="one"), Turn(text="two"))

    first, same, news = [await _ask(house, automation) for _ in range(3)]

    assert [first.status, same.status, news.status] == [
        RunStatus.COMPLETED, RunStatus.SKIPPED, RunStatus.COMPLETED,
    ]  # fmt: skip
    assert (same.reason, same.usage.turns, same.model) == ("filtered", 0, None)
    assert "GET /status (data.version) is as the last completed run saw it" in (same.error or "")
    assert [_value(first), same.gate, _value(news)] == ["1", None, "2"]
    assert len(house.model.requests) == 2
    asked = house.service.requests[0]
    assert (asked.method, asked.path) == ("GET", "/status")
    assert asked.headers["Authorization"] == "Bearer s3cr3t-canary"


async def test_what_was_seen_counts_only_once_the_run_completed(house: AgentHouse) -> None:
    automation = _changes(house)
    house.service.answers = [_version(1), _version(1)]
    house.model.script(Turn(status=400), Turn(text="done"))

    failed, again = [await _ask(house, automation) for _ in range(2)]

    assert (failed.status, again.status) == (RunStatus.FAILED, RunStatus.COMPLETED)
    assert await _kept(house) == "1"


async def test_of_two_runs_side_by_side_what_was_read_last_counts(house: AgentHouse) -> None:
    automation = _changes(house)
    house.service.answers = [_version(1), _version(2), _version(2)]
    runs = [await house.context(automation) for _ in range(2)]
    runs = [replace(each, run=replace(each.run, trigger=TriggerKind.CRON)) for each in runs]

    outcomes = [await house.execute(each) for each in runs]
    for context, outcome in reversed(list(zip(runs, outcomes, strict=True))):
        await house.ledger.finish(context.run, outcome, at=datetime.now(UTC), plan=lambda _: Plan())

    assert await _kept(house) == "2"
    assert (await _ask(house, automation)).status is RunStatus.SKIPPED


@pytest.mark.parametrize(
    ("value", "opens"),
    [({"open": 0}, False), ({"open": 4}, True), ({}, True)],
)
async def test_what_was_read_may_have_to_fit_a_filter(
    house: AgentHouse, value: object, opens: bool
) -> None:
    house.rest()
    read = GateRead(connection="crm", endpoint="/deals", query={"state": "a b", "n": "1"})
    gate = Gate(read=read, filter=Rule(("open",), Test.NEQ, (0,)))
    house.service.answers = [web.json_response(value)]

    outcome = await _ask(house, house.automation(gate=gate))

    assert (outcome.status is RunStatus.COMPLETED) is opens
    assert house.service.requests[0].path in ("/deals?state=a+b&n=1", "/deals?state=a%20b&n=1")
    if not opens:
        assert "open neq 0; it is 0" in (outcome.error or "")


async def test_a_filter_alone_looks_at_the_event_and_reaches_nobody(house: AgentHouse) -> None:
    house.mcp()
    automation = house.automation(gate=Gate(filter=Rule(("action",), Test.EQ, ("opened",))))

    closed = await _ask(house, automation, TriggerKind.WEBHOOK, event={"action": "closed"})
    assert not house.executor.services.pool.alive("tools")
    opened = await _ask(house, automation, TriggerKind.WEBHOOK, event={"action": "opened"})

    assert (closed.status, closed.reason) == (RunStatus.SKIPPED, "filtered")
    assert 'action eq "opened"; it is "closed"' in (closed.error or "")
    assert opened.status is RunStatus.COMPLETED
    assert len(house.model.requests) == 1


async def test_the_journal_holds_the_gate_before_and_after_its_read(house: AgentHouse) -> None:
    automation = _changes(house)
    house.service.answers = [_version("s3cr3t-canary")]

    await _ask(house, automation)

    types = [each.type for each in house.entries]
    assert types.index(EntryType.GATE_STARTED) < types.index(EntryType.GATE_FINISHED)
    assert types.index(EntryType.GATE_FINISHED) < types.index(EntryType.PROMPT)
    [started] = house.of(EntryType.GATE_STARTED)
    assert (started.data["request"], started.data["intent"]) == ("GET /status", "read")
    assert "s3cr3t" not in house.journal_text()
    assert "s3cr3t" not in (await _kept(house) or "")


@pytest.mark.parametrize("kind", [TriggerKind.MANUAL, TriggerKind.INVOKED])
async def test_a_person_who_asks_passes_by(house: AgentHouse, kind: TriggerKind) -> None:
    outcome = await _ask(house, _changes(house), kind)

    assert (outcome.status, outcome.gate) == (RunStatus.COMPLETED, None)
    assert house.service.requests == []


async def test_a_slot_that_is_caught_up_is_asked(house: AgentHouse) -> None:
    automation = _changes(house)
    house.service.answers = [_version(1), _version(1)]

    await _ask(house, automation)
    caught_up = await _ask(house, automation, TriggerKind.CATCH_UP)

    assert caught_up.status is RunStatus.SKIPPED


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (web.Response(status=503, text="down"), "503"),
        (web.Response(status=404, text="gone"), "404"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "302"),
        (web.Response(text="<html>sign in</html>", content_type="text/html"), "no JSON"),
    ],
)
async def test_a_read_that_fails_fails_the_run_and_is_no_news(
    house: AgentHouse, answer: web.Response, says: str
) -> None:
    automation = _changes(house)
    house.service.answers = [answer]

    outcome = await _ask(house, automation)

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, "error")
    assert (outcome.error or "").startswith("when: GET /status")
    assert says in (outcome.error or "")
    assert house.model.requests == []
    assert house.of(EntryType.GATE_FAILED)
    assert await _kept(house) is None


async def test_nothing_at_the_path_fails_the_run_and_an_empty_value_is_one(
    house: AgentHouse,
) -> None:
    """Nothing is always as it was: a slip in `path` would silence the automation for ever."""
    automation = _changes(house)
    first = replace(STATUS, path=("data", "0", "version"))
    listing = replace(automation, gate=Gate(read=first, changed=True))
    house.service.answers = [
        web.json_response({"data": data})
        for data in ({"versions": 1}, {"version": []}, {"version": None}, [{"name": "a"}], [])
    ]

    nowhere, empty, null = [await _ask(house, automation) for _ in range(3)]
    nameless, none_yet = [await _ask(house, listing) for _ in range(2)]

    assert (nowhere.status, nowhere.reason) == (RunStatus.FAILED, "error")
    assert nowhere.error == "when: GET /status over crm answered with nothing at data.version"
    assert [_value(each) for each in (empty, null)] == ["[]", "null"]
    assert [each.status for each in (empty, null)] == [RunStatus.COMPLETED] * 2
    assert nameless.status is RunStatus.FAILED
    assert none_yet.status is RunStatus.SKIPPED, "it is as null as the value before it"


async def test_nobody_there_fails_the_run(house: AgentHouse) -> None:
    house.rest(base_url="http://127.0.0.1:9")

    outcome = await _ask(house, house.automation(gate=Gate(read=STATUS, changed=True)))

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, "error")
    assert "no answer from crm" in (outcome.error or "")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"connections": ("mail",)}, "not among this automation's connections"),
        ({"tools": ("query_store",), "write_enabled": True}, "not among this automation's tools"),
    ],
)
async def test_what_is_not_granted_is_not_read(
    house: AgentHouse, changes: dict[str, Any], says: str
) -> None:
    outcome = await _ask(house, _changes(house, **changes))

    assert outcome.status is RunStatus.FAILED
    assert says in (outcome.error or "")
    assert house.service.requests == []


async def test_a_read_that_access_json_calls_a_write_is_refused_whatever_the_automation_may(
    house: AgentHouse,
) -> None:
    rule = AccessRule(match="GET /status", intent=Intent.WRITE)
    house.rest(access=Access(endpoints=(rule,)))
    gate = Gate(read=STATUS, changed=True)

    outcome = await _ask(house, house.automation(gate=gate, write_enabled=True))

    assert outcome.status is RunStatus.FAILED
    assert "only reads" in (outcome.error or "")
    # What the file says already would not allow it.
    assert "writeEnabled" not in (outcome.error or "")
    assert house.service.requests == []


@pytest.mark.parametrize("endpoint", ["/a/../b", "//evil.example/x", "/a#b"])
async def test_an_endpoint_cannot_leave_the_connection(house: AgentHouse, endpoint: str) -> None:
    house.rest()
    gate = Gate(read=GateRead(connection="crm", endpoint=endpoint), changed=True)

    outcome = await _ask(house, house.automation(gate=gate))

    assert outcome.status is RunStatus.FAILED
    assert house.service.requests == []


async def test_a_run_that_goes_on_from_its_journal_is_not_asked_again(house: AgentHouse) -> None:
    automation = _changes(house)
    house.service.answers = [_version(7)]
    house.model.script(Turn(status=400), Turn(text="done"))
    context = await house.context(automation)
    context = replace(context, run=replace(context.run, trigger=TriggerKind.CRON))
    first = await house.execute(context)
    again = replace(
        context,
        run=replace(context.run, attempt=2, resumes=1),
        journal=RunJournal(house.ledger, context.run.run_id, house.redactor, attempt=2),
    )

    outcome = await house.execute(again)

    assert _value(outcome) == "7"
    assert outcome.gate == first.gate
    assert len(house.service.requests) == 1


def _tools(house: AgentHouse, **changes: Any) -> None:
    server = McpServer(
        command=sys.executable,
        args=PYTHON_MCP,
        env={"MCP_CALLS": str(house.folder / "calls.jsonl")},
    )
    house.mcp(mcp=server, **changes)


READS = Access(tools=(AccessRule(match="lookup", intent=Intent.READ),))


async def test_a_tool_of_an_mcp_server_is_asked_when_access_json_calls_it_a_read(
    house: AgentHouse,
) -> None:
    _tools(house, access=READS)
    read = GateRead(connection="tools", tool="lookup", arguments={"name": "deals"})
    automation = house.automation(gate=Gate(read=read, changed=True))

    first, same = [await _ask(house, automation) for _ in range(2)]

    assert (first.status, same.status) == (RunStatus.COMPLETED, RunStatus.SKIPPED), first.error
    assert [each["tool"] for each in house.mcp_calls()] == ["lookup", "lookup"]


async def test_a_tool_that_nothing_calls_a_read_is_not_called(house: AgentHouse) -> None:
    _tools(house)
    read = GateRead(connection="tools", tool="lookup", arguments={"name": "deals"})

    automation = house.automation(gate=Gate(read=read, changed=True), write_enabled=True)
    outcome = await _ask(house, automation)

    assert outcome.status is RunStatus.FAILED
    assert "only reads" in (outcome.error or "")
    assert house.mcp_calls() == []


@pytest.mark.parametrize(
    ("tool", "says"),
    [
        ("set_item", "the gate only reads: set_item is a write"),
        ("crash_all", "the server of tools has no tool crash_all"),
        ("fail", "answered: "),
    ],
)
async def test_a_gate_that_its_running_server_makes_impossible_is_a_failure_that_is_told(
    house: AgentHouse, tool: str, says: str
) -> None:
    _tools(house, trust_annotations=True)
    read = GateRead(connection="tools", tool=tool)
    automation = house.automation(gate=Gate(read=read, changed=True), write_enabled=True)
    failures: list[int] = []

    outcome = await _ask(house, automation, failures=failures)

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, "error")
    assert (outcome.error or "").startswith("when: ")
    assert says in (outcome.error or "")
    # Not skipped, which would count as nothing, nor opened.
    assert failures == [1]
    assert house.model.requests == []
    assert {each["tool"] for each in house.mcp_calls()} <= {"fail"}
    assert [each.data["error"] for each in house.of(EntryType.GATE_FAILED)] == [outcome.error]
    assert await _kept(house) is None


async def test_the_word_of_a_trusted_server_opens_the_gate_to_its_reads(house: AgentHouse) -> None:
    _tools(house, trust_annotations=True)
    read = GateRead(connection="tools", tool="lookup", arguments={"name": "alpha"})

    outcome = await _ask(house, house.automation(gate=Gate(read=read, changed=True)))

    assert (outcome.status, _value(outcome)) == (RunStatus.COMPLETED, "1")


async def test_a_value_too_long_to_keep_is_compared_by_its_digest(house: AgentHouse) -> None:
    automation = _changes(house)
    house.service.answers = [_version("x" * 9_000), _version("x" * 9_000), _version("x" * 9_001)]

    seen = [(await _ask(house, automation)).status for _ in range(3)]

    assert seen == [RunStatus.COMPLETED, RunStatus.SKIPPED, RunStatus.COMPLETED]
    assert len(await _kept(house) or "") < 100
