"""Agents whose loop is a program, in real sandboxes: from the prompt to a result on record."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agent_house import AgentHouse
from sandbox_scene import BOX, NEEDED, alive
from workflow_house import WorkflowHouse, chain, node

from amodal_rt.domain.agent_program import AgentProgram, Printed, ResultPlaces
from amodal_rt.domain.automation import Limits
from amodal_rt.domain.budget import day_of
from amodal_rt.domain.connection import Agent, Intent
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.profile import NetworkHost, Profile, ProfileName
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workspace import WorkspaceLimits
from amodal_rt.executors.agent.program_loop import COST_USD
from amodal_rt.ports import Previous

pytestmark = NEEDED

CLAUDE = ResultPlaces(
    printed=Printed.JSON,
    text=("result",),
    failed=("is_error",),
    input_tokens=(("usage", "input_tokens"), ("usage", "cache_read_input_tokens")),
    output_tokens=(("usage", "output_tokens"),),
    cost_usd=("total_cost_usd",),
    turns=("num_turns",),
)
CODEX = ResultPlaces(
    printed=Printed.LINES,
    text=("item", "text"),
    input_tokens=(("usage", "input_tokens"),),
    output_tokens=(("usage", "output_tokens"),),
)
SAID = {
    "type": "result", "is_error": False, "result": '{"open": 3}', "num_turns": 4,
    "total_cost_usd": 0.02,
    "usage": {"input_tokens": 900, "cache_read_input_tokens": 100, "output_tokens": 50},
}  # fmt: skip
NET = (NetworkHost(host="api.example", intent=Intent.READ),)


def sh(line: str, result: ResultPlaces | None = None) -> AgentProgram:
    return AgentProgram(argv=("/bin/sh", "-c", line), result=result or ResultPlaces())


def says(*documents: object, result: ResultPlaces = CLAUDE) -> AgentProgram:
    """One that prints these as JSON, each on a line of its own."""
    lines = "\n".join(json.dumps(each) for each in documents)
    return sh(f"cat > /dev/null; cat <<'END'\n{lines}\nEND", result)


async def ran(
    house: AgentHouse,
    program: AgentProgram,
    profile: Profile = BOX,
    *,
    event: object = ...,
    previous: Previous | None = None,
    rehearse: bool = False,
    **changes: Any,
) -> Outcome:
    house.profiles = [profile]
    house.agents["coder"] = Agent(
        name="coder", hash="h", instructions="You are the coder.", program=program
    )
    automation = house.automation(
        "Look at {{event}}.", agent="coder", profile=ProfileName(profile.name), **changes
    )
    return await house.run(automation, event=event, previous=previous, rehearse=rehearse)


async def test_the_prompt_comes_in_and_what_is_printed_is_the_result(house: AgentHouse) -> None:
    house.rest()
    before = Previous(run_id="run_a", summary="all was well", finished_at=datetime.now(UTC))

    outcome = await ran(
        house, sh("cat; echo; id -un"), event={"text": "s3cr3t-canary <b>"}, previous=before
    )

    said = outcome.text or ""
    assert outcome.status is RunStatus.COMPLETED
    assert said.startswith("You are the coder.\n\n")
    assert said.endswith("\nagent")
    assert "Look at (the data in the event_data block below)" in said
    assert "<event_data" in said
    assert "all was well" in said
    assert "canary" not in said
    assert outcome.origin.tainted
    assert "crm" not in said, "it knows no connection, so it is told of none"
    assert house.model.requests == []


async def test_it_is_given_the_whole_event(house: AgentHouse) -> None:
    outcome = await ran(house, sh("wc -c"), event={"text": "x" * 30_000})

    assert int(outcome.text or "0") > 30_000


async def test_every_step_is_on_record(house: AgentHouse) -> None:
    await ran(house, sh("cat > /dev/null; echo done"), event={"a": 1})

    assert house.types() == [
        "run.prompt", "run.tainted", "tool.started", "tool.finished", "run.tainted",
    ]  # fmt: skip
    prompt, _, started, finished, _ = (each.data for each in house.entries)
    assert prompt["program"] == ["/bin/sh", "-c", "cat > /dev/null; echo done"]
    assert (started["tool"], started["profile"], started["external"]) == ("program", "box@1", True)
    assert (finished["code"], finished["result"]) == (0, "done\n")


async def test_a_document_tells_the_result_and_what_it_used(house: AgentHouse) -> None:
    outcome = await ran(house, says(SAID))

    assert outcome.status is RunStatus.COMPLETED
    assert (outcome.text, outcome.payload) == ('{"open": 3}', {"open": 3})
    assert (outcome.usage.input_tokens, outcome.usage.output_tokens) == (1_000, 50)
    assert (outcome.usage.turns, outcome.usage.cost_usd) == (4, 0.02)
    assert outcome.model == "program:sh"


async def test_on_lines_the_last_text_and_the_sum_of_numbers_count(house: AgentHouse) -> None:
    lines = (
        {"type": "item.completed", "item": {"type": "agent_message", "text": "wait"}},
        {"type": "turn.completed", "usage": {"input_tokens": 10, "output_tokens": 1}},
        {"type": "item.completed", "item": {"type": "agent_message", "text": "fixed"}},
        {"type": "turn.completed", "usage": {"input_tokens": 20, "output_tokens": 2}},
    )

    outcome = await ran(house, says(*lines, result=CODEX))

    assert (outcome.text, outcome.usage.input_tokens, outcome.usage.output_tokens) == (
        "fixed", 30, 3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (says(SAID | {"is_error": True, "result": "no key"}), "it says that it failed"),
        (says(SAID | {"is_error": "overloaded"}), "overloaded"),
        (says({"other": 1}), "it printed no json with a result at result"),
        (sh("echo plain", CLAUDE), "it printed no json with a result at result"),
        (sh("echo why >&2; exit 3"), "/bin/sh exited with 3: why"),
        (sh("yes"), "printed more than 65,536 bytes"),
    ],
)
async def test_what_is_no_result_fails_the_run_and_says_why(
    house: AgentHouse, program: AgentProgram, why: str
) -> None:
    outcome = await ran(house, program)

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.ERROR)
    assert why in (outcome.error or "")


async def test_at_its_deadline_it_is_ended_with_all_that_it_started(house: AgentHouse) -> None:
    mark = f"3{house.clock.now().microsecond:07}"
    slow = replace(BOX, bounds=replace(BOX.bounds, timeout=timedelta(seconds=1)))

    outcome = await ran(house, sh(f"setsid -f sleep {mark}; sleep {mark}"), slow)

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, FailedReason.TIMED_OUT)
    assert alive(mark) == []


async def test_it_is_given_granted_secrets_alone_and_tells_none(house: AgentHouse) -> None:
    profile = replace(BOX, environment={"KEY": SecretRef("CRM_TOKEN")}, secrets=("CRM_TOKEN",))

    outcome = await ran(house, sh("cat > /dev/null; echo $KEY; env"), profile)

    assert (outcome.text or "").startswith("[secret]\n")
    assert "LOCAL_KEY" not in (outcome.text or "")
    assert "canary" not in house.journal_text()


async def test_what_it_used_is_counted_against_the_day(house: AgentHouse) -> None:
    house.settings["limits"] = WorkspaceLimits(max_cost_usd_per_day=0.03)

    first = await ran(house, says(SAID))
    second = await ran(house, says(SAID | {"total_cost_usd": 0.01}))
    third = await ran(house, says(SAID))

    assert (first.status, second.status) == (RunStatus.COMPLETED, RunStatus.COMPLETED)
    assert (third.status, third.reason) == (RunStatus.FAILED, FailedReason.BUDGET_EXCEEDED)
    assert "all automations used $0.03 of $0.03" in (third.error or "")
    assert house.of(EntryType.TOOL_STARTED) == []


async def test_one_that_tells_nothing_counts_by_the_words_that_were_seen(
    house: AgentHouse,
) -> None:
    await ran(house, sh("cat > /dev/null; echo done"))

    day = day_of(house.snapshot().settings, house.clock.now())
    [spent] = await house.ledger.spending(since=day)
    assert spent.model == "program:sh"
    assert spent.unpriced_tokens == spent.input_tokens + spent.output_tokens > 50


async def test_a_run_that_went_over_its_own_budget_has_failed(house: AgentHouse) -> None:
    tokens = await ran(house, says(SAID), limits=Limits(max_tokens=1_000))
    cost = await ran(house, says(SAID), limits=Limits(max_cost_usd=0.01))

    assert (tokens.reason, cost.reason) == ("budget_exceeded", "budget_exceeded")
    assert tokens.error == "the run used 1,050 tokens of 1,000 (limits.maxTokens)"
    assert "$0.02 of $0.01 (limits.maxCostUsd" in (cost.error or "")


async def test_where_it_may_change_something_it_is_a_write(house: AgentHouse) -> None:
    writer = replace(BOX, network=(NetworkHost(host="api.example"),))

    refused = await ran(house, sh("echo did"), writer)
    allowed = await ran(house, sh("echo did"), writer, write_enabled=True)

    assert "is a write (it may reach api.example:443)" in (refused.error or "")
    assert (allowed.status, allowed.wrote) == (RunStatus.COMPLETED, True)
    assert len(house.of(EntryType.WRITE_STARTED, EntryType.WRITE_FINISHED)) == 2


async def test_a_tainted_one_with_private_data_and_a_way_out_needs_a_reviewer(
    house: AgentHouse,
) -> None:
    house.rest()
    keyed = replace(BOX, network=NET, environment={"K": SecretRef("CRM_TOKEN")},
                    secrets=("CRM_TOKEN",))  # fmt: skip

    refused = await ran(house, sh("echo did"), keyed, event={"a": 1})
    accepted = await ran(house, sh("echo did"), keyed, event={"a": 1}, acknowledged=("trifecta",))
    bare = await ran(house, sh("echo did"), replace(BOX, network=NET), event={"a": 1})

    assert "the variable CRM_TOKEN of box@1" in (refused.error or "")
    assert accepted.text == bare.text == "did"


async def test_a_node_of_a_workflow_may_be_such_an_agent(flows: WorkflowHouse) -> None:
    flows.profiles = [BOX]
    flows.agents["coder"] = Agent(name="coder", hash="h", instructions="Code.", program=says(SAID))
    work = chain(
        node("trigger", "start"),
        node("agent", "think", prompt="Look at {{ payload.rows }}.", agent="coder"),
        node("transform", "sum", value="{{ inputs.think.payload.open }}"),
    )

    outcome = await flows.walk(work, event={"rows": [1]}, profile=ProfileName("box"))

    assert outcome.payload == 3, outcome.error
    assert outcome.usage.cost_usd == 0.02
    assert flows.nodes(EntryType.TOOL_FINISHED) == [("tool.finished", "think/program")]


async def test_a_rehearsal_runs_nothing(house: AgentHouse) -> None:
    outcome = await ran(house, sh("echo did"), rehearse=True)

    assert outcome.rehearsed
    assert outcome.text == "[rehearsal] would run in box@1: /bin/sh -c echo did"
    assert house.of(EntryType.TOOL_STARTED) == []


async def test_whoever_cancels_the_run_ends_it(house: AgentHouse) -> None:
    mark = f"2{house.clock.now().microsecond:07}"
    running = asyncio.ensure_future(ran(house, sh(f"sleep {mark}")))
    while not alive(mark):
        await house.clock.sleep(0.02)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert alive(mark) == []


@pytest.mark.parametrize("how", ["ended", "cancelled"])
async def test_one_that_did_not_come_to_say_what_it_cost_is_counted_as_expected(
    house: AgentHouse, how: str
) -> None:
    mark = f"1{house.clock.now().microsecond:07}"
    line = "exit 3" if how == "ended" else f"sleep {mark}"
    running = asyncio.ensure_future(ran(house, sh(line, CLAUDE)))
    if how == "cancelled":
        while not alive(mark):
            await house.clock.sleep(0.02)
        running.cancel()
    await asyncio.wait([running])

    [spent] = await house.ledger.spending(
        since=day_of(house.snapshot().settings, house.clock.now())
    )
    assert (spent.cost_usd, spent.unpriced_tokens) == (pytest.approx(COST_USD), 0)
