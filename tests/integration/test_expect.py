"""`expect` asks what was done: work that says that it is done and did not do it has failed."""

from dataclasses import replace
from typing import Any

import pytest
from agent_house import AgentHouse, calls_then_done, request
from aiohttp import web
from workflow_house import WorkflowHouse, chain, node

from amodal_rt.domain.automation import AgentWork, Expectation, GateRead, Probe
from amodal_rt.domain.connection import Store
from amodal_rt.domain.filter import Rule, Test
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.run import RunStatus
from amodal_rt.executors.acting.expecting import check_result
from amodal_rt.executors.command.executor import CommandExecutor
from amodal_rt.executors.work import WorkExecutor
from amodal_rt.testing.model_server import Call, Turn

COUNT = {"type": "object", "required": ["count"], "properties": {"count": {"type": "integer"}}}
NOTHING = Rule(("result",), Test.STARTS_WITH, ("NOTHING",))


async def _ask(house: AgentHouse, expect: Expectation, **changes: Any) -> Outcome:
    """One run of the house's agent, with its result checked as every executor's is."""
    context = await house.context(house.automation(expect=expect), **changes)
    outcome = await house.execute(context)
    checked = await check_result(context, house.executor.services, outcome)
    house.entries = await house.ledger.entries(context.run.run_id)
    return checked


async def _said(house: AgentHouse, expect: Expectation, text: str) -> Outcome:
    house.model.script(Turn(text=text))
    return await _ask(house, expect)


@pytest.mark.parametrize(
    ("expect", "text", "why"),
    [
        (Expectation(schema=COUNT), '{"count": 3}', None),
        (Expectation(schema=COUNT), '{"count": "three"}', "expect.schema: data.count: 'three' is"),
        (Expectation(schema=COUNT), "All is well.", "expect.schema: the result is no JSON object"),
        (Expectation(filter=Rule(("data", "open"), Test.EQ, (0,))), '{"open": 0}', None),
        (
            Expectation(filter=Rule(("data", "open"), Test.EQ, (0,))),
            '{"open": 2}',
            "expect.filter: data.open eq 0; it is 2",
        ),
        (Expectation(matches="(?m)^DONE [0-9]+$"), "So far.\nDONE 12", None),
        (Expectation(matches="^DONE"), "not DONE", "expect.matches: ^DONE is not found in"),
    ],
)
async def test_a_result_is_held_against_what_it_must_be(
    house: AgentHouse, expect: Expectation, text: str, why: str | None
) -> None:
    outcome = await _said(house, expect, text)

    if why is None:
        assert (outcome.status, outcome.reason) == (RunStatus.COMPLETED, None)
        assert house.of(EntryType.EXPECT_FINISHED)
    else:
        assert (outcome.status, outcome.reason) == (RunStatus.FAILED, "invalid_output")
        assert why in (outcome.error or "")
        assert house.of(EntryType.EXPECT_FAILED)[0].data["error"] == outcome.error
    assert (outcome.text, outcome.usage.turns) == (text, 1)


async def test_each_check_that_fails_is_named(house: AgentHouse) -> None:
    outcome = await _said(house, Expectation(schema=COUNT, matches="^x", tools=("crm.*",)), "Hello")

    error = outcome.error or ""
    assert [each in error for each in ("expect.schema", "expect.matches", "expect.tools")] == [
        True, True, True,
    ]  # fmt: skip


async def test_a_declared_quiet_result_is_quiet_and_nothing_else_is_asked(
    house: AgentHouse,
) -> None:
    expect = Expectation(quiet=NOTHING, schema=COUNT, tools=("crm.request",))

    quiet = await _said(house, expect, "NOTHING to report")
    loud = await _said(house, expect, "All went well")

    assert (quiet.status, quiet.reason) == (RunStatus.COMPLETED, "quiet")
    assert (loud.status, loud.reason) == (RunStatus.FAILED, "invalid_output")


async def test_a_tool_counts_that_was_called_with_success_whatever_the_model_says(
    house: AgentHouse,
) -> None:
    house.rest()
    expect = Expectation(tools=("crm.request",))
    house.service.answers = [web.json_response({}, status=500)]
    house.model.script(Turn(text="I called it."))
    claimed = await _ask(house, expect)
    house.model.script(*calls_then_done(request()))
    failing = await _ask(house, expect)
    house.model.script(*calls_then_done(request()))
    called = await _ask(house, expect)

    assert claimed.error == "expect.tools: crm.request was not called with success"
    assert failing.error == claimed.error
    assert called.status is RunStatus.COMPLETED


async def test_a_tool_of_an_mcp_server_counts_by_its_name(house: AgentHouse) -> None:
    house.mcp(trust_annotations=True)
    house.model.script(*calls_then_done(Call("tools__read_items", {})))

    outcome = await _ask(house, Expectation(tools=("tools.read_*",)))

    assert outcome.status is RunStatus.COMPLETED, outcome.error


async def test_a_store_must_have_been_written_by_this_run(house: AgentHouse) -> None:
    house.stores = {"leads": Store(name="leads", hash="h", schema={})}
    expect = Expectation(stores=("leads",))
    house.model.script(
        *calls_then_done(Call("write_store", {"store": "leads", "key": "a", "value": 1}))
    )
    wrote = await _ask(house, expect)
    idle = await _said(house, expect, "kept it")

    assert wrote.status is RunStatus.COMPLETED, wrote.error
    assert idle.error == "expect.stores: leads was not written"


def _probe(**changes: Any) -> Expectation:
    read = GateRead(connection="crm", endpoint="/health", path=("state",))
    return Expectation(probe=Probe(read=read, **changes))


@pytest.mark.parametrize(
    ("probe", "answer", "why"),
    [
        (_probe(), web.json_response({"state": "up"}), None),
        (_probe(), web.json_response({"state": "up"}, status=503), "answered: HTTP 503"),
        (_probe(status=404), web.json_response({"state": "gone"}, status=404), None),
        (_probe(status=404), web.json_response({"state": "up"}), "answered: HTTP 200"),
        (_probe(), web.Response(status=302, headers={"Location": "/x"}), "answered: HTTP 302"),
        (_probe(), web.Response(text="<html>"), "answered no JSON"),
    ],
)
async def test_a_probe_asks_the_world_once_the_work_is_done(
    house: AgentHouse, probe: Expectation, answer: web.Response, why: str | None
) -> None:
    house.rest()
    house.service.answers = [answer]

    outcome = await _said(house, probe, "deployed")

    assert [each.method for each in house.service.requests] == ["GET"]
    if why is None:
        assert outcome.status is RunStatus.COMPLETED, outcome.error
    else:
        assert outcome.reason == "invalid_output"
        assert why in (outcome.error or "")


async def test_a_probe_passes_the_guard_at_the_way_out_and_gives_no_secret_away(
    house: AgentHouse,
) -> None:
    house.rest()
    house.egress.configure([])

    outcome = await _said(house, _probe(), "deployed")

    assert house.service.requests == []
    assert "egress" in (outcome.error or "")
    assert "canary" not in house.journal_text() + (outcome.error or "")


async def test_nothing_is_asked_of_a_rehearsal(house: AgentHouse) -> None:
    outcome = await _ask(house, Expectation(schema=COUNT), rehearse=True)

    assert outcome.status is RunStatus.COMPLETED
    assert house.of(EntryType.EXPECT_FINISHED, EntryType.EXPECT_FAILED) == []


@pytest.mark.parametrize(("total", "status"), [(3, RunStatus.COMPLETED), ("x", RunStatus.FAILED)])
async def test_the_result_of_a_workflow_is_held_against_it_too(
    flows: WorkflowHouse, total: object, status: RunStatus
) -> None:
    flow = flows.flow(chain(node("transform", "a", value={"count": total})))
    context = await flows.context(replace(flow, expect=Expectation(schema=COUNT)))

    outcome = await _work(flows).execute(context)

    assert not isinstance(outcome, Waiting)
    assert outcome.status is status


async def test_an_agents_run_is_checked_where_all_work_is_carried(flows: WorkflowHouse) -> None:
    flows.model.script(Turn(text="Hello"))
    automation = flows.automation(expect=Expectation(matches="^DONE"))
    assert isinstance(automation.work, AgentWork)

    outcome = await _work(flows).execute(await flows.context(automation))

    assert not isinstance(outcome, Waiting)
    assert outcome.reason == "invalid_output"


def _work(flows: WorkflowHouse) -> WorkExecutor:
    return WorkExecutor(flows.executor, flows.flows, CommandExecutor(flows.executor.services))
