"""What each kind of node does, over real sockets and a real ledger."""

import json
import subprocess
import sys
from typing import Any

from aiohttp import web
from workflow_house import WorkflowHouse, chain, graph, node

from amodal_rt.domain.connection import Access, AccessRule, Agent, Intent, Store
from amodal_rt.domain.delivery import Target, TargetType
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.models import REHEARSAL
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import RunStatus
from amodal_rt.testing.model_server import Call, Turn

START = {"kind": "trigger", "id": "start"}


def done(outcome: Outcome) -> object:
    assert (outcome.status, outcome.error) == (RunStatus.COMPLETED, None)
    return outcome.payload


async def test_the_last_value_is_the_result_and_its_text(flows: WorkflowHouse) -> None:
    work = chain(dict(START), node("transform", "make", value={"hello": "{{ payload.name }}"}))

    outcome = await flows.walk(work, payload={"name": "Ada"})

    assert done(outcome) == {"hello": "Ada"}
    assert outcome.text == '{"hello": "Ada"}'
    assert (outcome.usage.turns, outcome.model) == (0, None)


async def test_templates_see_payload_trigger_inputs_and_whole_values(flows: WorkflowHouse) -> None:
    work = chain(
        dict(START),
        node("transform", "one", value={"n": [1, 2], "by": "{{ trigger }}"}),
        node("transform", "two", value={"all": "{{ inputs.one.n }}", "p": "$ {{ $.deep.a }}"}),
        node("transform", "three", value="{{ inputs.two.all[1] }} by {{ inputs.one.by }}"),
    )

    outcome = await flows.walk(work, payload={"deep": {"a": 7}})

    assert done(outcome) == "2 by manual"
    assert outcome.text == "2 by manual"
    assert flows.values()["two"] == {"all": [1, 2], "p": "$ 7"}


async def test_the_journal_tells_the_walk(flows: WorkflowHouse) -> None:
    await flows.walk(chain(dict(START), node("transform", "make", value=1)))

    assert flows.nodes() == [
        ("node.started", "start"),
        ("node.finished", "start"),
        ("node.started", "make"),
        ("node.finished", "make"),
    ]
    assert flows.entry(EntryType.NODE_STARTED, "make").data == {"kind": "transform", "node": "make"}
    assert flows.entry(EntryType.NODE_FINISHED, "start").data == {
        "node": "start", "value": None, "edge": "on_success", "next": "make",
    }  # fmt: skip


async def test_no_call_stands_in_the_journal_in_front_of_its_node(flows: WorkflowHouse) -> None:
    flows.rest()
    flows.settings["targets"] = {
        "ops": Target(type=TargetType.WEBHOOK, label="#ops", url="https://ops.example/x")
    }
    flows.model.script(Turn(text="seen"))
    work = chain(
        dict(START),
        node("request", "get", connection="crm", endpoint="/deals"),
        node("request", "post", connection="crm", method="POST", endpoint="/d", on_error="think"),
        node("agent", "think", prompt="Look."),
        node("emit", "say", type="order.checked"),
        node("deliver", "tell", targets=["ops"], message="hello"),
    )

    await flows.walk(work)

    seen, early = set[str](), list[str]()
    for entry in flows.entries:
        if entry.type is EntryType.NODE_STARTED:
            seen.add(entry.step or "")
        elif entry.step is not None and entry.step.partition("/")[0] not in seen:
            early.append(f"{entry.type} {entry.step}")
    assert early == []
    assert seen == {"start", "get", "post", "think", "say", "tell"}


async def test_a_request_gives_status_and_body(flows: WorkflowHouse) -> None:
    flows.rest()
    flows.service.answers = [web.json_response({"deals": [1]}), web.Response(text="plain")]
    work = chain(
        dict(START),
        node("request", "get", connection="crm", endpoint="/deals/{{ $.id }}", params={"q": "a b"}),
        node("request", "text", connection="crm", endpoint="/text"),
    )

    outcome = await flows.walk(work, payload={"id": 7})

    assert done(outcome) == {"status": 200, "body": "plain"}
    assert flows.values()["get"] == {"status": 200, "body": {"deals": [1]}}
    first = flows.service.requests[0]
    assert (first.method, first.path) == ("GET", "/deals/7?q=a+b")
    assert first.headers["Authorization"] == "Bearer s3cr3t-canary"
    started = flows.entry(EntryType.TOOL_STARTED, "get/request")
    assert (started.parent, started.data["intent"]) == ("get", "read")


async def test_a_write_is_refused_until_the_automation_may_write(flows: WorkflowHouse) -> None:
    flows.rest()
    work = chain(
        dict(START),
        node("request", "post", connection="crm", method="POST", endpoint="/d", data={"a": 1}),
    )

    refused = await flows.walk(work)
    allowed = await flows.walk(work, write_enabled=True)

    assert refused.status is RunStatus.FAILED
    assert 'node "post": refused: ' in (refused.error or "")
    assert "automations/auto.json:7" in (refused.error or "")
    assert done(allowed) == {"status": 200, "body": [{"deal": 1}]}
    [reached] = flows.service.requests
    assert json.loads(reached.body) == {"a": 1}
    assert reached.headers["Idempotency-Key"].endswith(":post/request")
    assert allowed.wrote
    assert flows.nodes(EntryType.WRITE_STARTED) == [("write.started", "post/request")]


async def test_an_mcp_node_calls_the_tool_and_parses_what_it_says(flows: WorkflowHouse) -> None:
    access = Access(tools=(AccessRule(match="*", intent=Intent.READ),))
    flows.mcp(access=access)
    work = chain(
        dict(START),
        node("mcp", "look", connection="tools", tool="lookup", arguments={"name": "{{ $.who }}"}),
    )

    outcome = await flows.walk(work, payload={"who": "alpha"})

    done(outcome)
    assert [each["tool"] for each in flows.mcp_calls()] == ["lookup"]
    assert flows.values()["look"] is not None
    assert flows.nodes(EntryType.TOOL_FINISHED) == [("tool.finished", "look/mcp")]


async def test_a_tool_that_its_server_does_not_have_fails_the_node(flows: WorkflowHouse) -> None:
    flows.mcp()
    work = chain(dict(START), node("mcp", "look", connection="tools", tool="none"))

    outcome = await flows.walk(work)

    assert outcome.error == 'node "look": the server of tools has no tool none'


async def test_a_condition_goes_one_of_two_ways_by_its_filter(flows: WorkflowHouse) -> None:
    work = graph(
        node("condition", "big", filter={"payload.n": {"in": [7]}}, on_true="yes", on_false="no"),
        node("transform", "yes", value="yes"),
        node("transform", "no", value="no"),
    )

    assert done(await flows.walk(work, payload={"n": 7})) == "yes"
    assert done(await flows.walk(work, payload={"n": 1})) == "no"
    assert flows.entry(EntryType.NODE_FINISHED, "big").data["edge"] == "on_false"


async def test_a_condition_goes_by_the_truth_of_its_expression(flows: WorkflowHouse) -> None:
    async def nonempty(names: Any, functions: Any) -> object:
        assert functions == {}
        return names["payload"]["rows"]

    flows.sandbox.scripts["any.expression"] = nonempty
    work = graph(
        node("condition", "any", expression="payload['rows']", on_true="yes", on_false="no"),
        node("transform", "yes", value="yes"),
        node("transform", "no", value="no"),
    )

    assert done(await flows.walk(work, payload={"rows": [1]})) == "yes"
    assert done(await flows.walk(work, payload={"rows": []})) == "no"


async def test_an_end_without_an_edge_is_an_end_that_went_well(flows: WorkflowHouse) -> None:
    work = graph(
        node("condition", "big", filter={"payload": {"in": [7]}}, on_true="yes"),
        node("transform", "yes", value="yes"),
    )

    assert done(await flows.walk(work, payload=1)) is False


async def test_stores_are_written_read_queried_and_forgotten(flows: WorkflowHouse) -> None:
    flows.stores["seen"] = Store(name="seen", hash="s", schema={"type": "object"})
    store = {"store": "seen", "key": "k-{{ $.id }}"}
    work = chain(
        dict(START),
        node("store", "put", action="put", **store, value={"n": "{{ $.id }}"}),
        node("store", "get", action="get", **store),
        node("store", "query", action="query", store="seen", value={"n": 7}),
        node("store", "drop", action="delete", **store),
        node("store", "gone", action="get", **store),
    )

    outcome = await flows.walk(work, payload={"id": 7})

    done(outcome)
    values = flows.values()
    assert (values["put"], values["get"], values["gone"]) == (None, {"n": 7}, None)
    [row] = values["query"]  # type: ignore[misc]
    assert (row["key"], row["value"]) == ("k-7", {"n": 7})
    assert flows.nodes(EntryType.STORE_WRITTEN) == [
        ("store.written", "put/store"),
        ("store.written", "drop/store"),
    ]


async def test_an_event_is_emitted_one_deeper_than_the_run(flows: WorkflowHouse) -> None:
    work = chain(dict(START), node("emit", "say", type="order.checked", data={"id": "{{ $.id }}"}))

    outcome = await flows.walk(work, payload={"id": 7})

    [event] = await flows.ledger.unmatched(limit=9)
    assert (event.type, event.data, event.depth) == ("order.checked", {"id": 7}, 1)
    assert done(outcome) == {"id": event.id}


async def test_a_message_is_owed_before_the_run_ends(flows: WorkflowHouse) -> None:
    flows.rest()
    target = Target(type=TargetType.WEBHOOK, label="#ops", url="https://ops.example/x")
    flows.settings["targets"] = {"ops": target}
    work = chain(
        dict(START),
        node("deliver", "tell", targets=["ops"], message="hello {{ $.name }} s3cr3t-canary"),
    )

    outcome = await flows.walk(work, payload={"name": "Ada"})

    [record] = await flows.ledger.list_messages(limit=9)
    assert record.message.target == target
    assert record.message.body["text"] == "hello Ada [secret]"
    assert done(outcome) == {"targets": ["ops"]}
    assert flows.nodes(EntryType.DELIVERY_OWED) == [("delivery.owed", "tell/deliver")]


async def test_a_target_that_nobody_knows_fails_the_node(flows: WorkflowHouse) -> None:
    work = chain(dict(START), node("deliver", "tell", targets=["ops"], message="x"))

    outcome = await flows.walk(work)

    assert outcome.error == 'node "tell": amodal.json has no target ops'


async def test_an_agent_node_is_a_session_within_the_run(flows: WorkflowHouse) -> None:
    flows.rest(surface="Deals: GET /deals")
    ask = Call("request", {"connection": "crm", "endpoint": "/deals"}, id="c1")
    flows.model.script(Turn(calls=(ask,)), Turn(text='{"sum": 1}'))
    work = chain(
        dict(START),
        node("agent", "think", prompt="Add {{ payload.rows }} up."),
        node("transform", "sum", value="{{ inputs.think.payload.sum }}"),
    )

    outcome = await flows.walk(work, event={"rows": ["<b>"]})

    assert done(outcome) == 1
    assert 'Add ["<b>"] up.' in flows.model.requests[0].user.replace("\\u003cb\\u003e", "<b>")
    assert (outcome.usage.turns, outcome.model) == (2, "local:small")
    assert flows.values()["think"] == {"text": '{"sum": 1}', "payload": {"sum": 1}}
    assert flows.nodes(EntryType.TURN_FINISHED, EntryType.TOOL_FINISHED) == [
        ("turn.finished", "think/turn:1"),
        ("tool.finished", "think/c1"),
        ("turn.finished", "think/turn:2"),
    ]


async def test_an_agent_node_has_the_runs_powers_or_fewer(flows: WorkflowHouse) -> None:
    flows.rest()
    flows.rest("bank")
    flows.agents["other"] = Agent(name="other", instructions="Be brief.", hash="h")
    both = [
        Call("request", {"connection": each, "endpoint": "/x"}, id=each) for each in ("crm", "bank")
    ]
    flows.model.script(Turn(calls=tuple(both)), Turn(text="done"))
    work = chain(
        dict(START), node("agent", "think", prompt="x", agent="other", connections=["bank", "crm"])
    )

    outcome = await flows.walk(work, connections=("crm",))

    done(outcome)
    assert len(flows.service.requests) == 1
    denied = flows.entry(EntryType.TOOL_DENIED, "think/bank")
    assert "bank" in str(denied.data["reason"])


async def test_the_limits_of_the_run_count_for_its_agents_together(flows: WorkflowHouse) -> None:
    flows.model.script(Turn(text="one"), Turn(text="two"))
    work = chain(dict(START), node("agent", "one", prompt="x"), node("agent", "two", prompt="y"))

    outcome = await flows.walk(work, limits=flows.limits(max_turns=1))

    assert (outcome.status, outcome.reason) == (RunStatus.FAILED, "max_turns")
    assert len(flows.model.requests) == 1


async def test_a_rehearsal_changes_nothing(flows: WorkflowHouse) -> None:
    flows.rest()
    flows.stores["seen"] = Store(name="seen", hash="s", schema={})
    put = node("store", "put", store="seen", action="put", key="k", value=1)
    post = node("request", "post", connection="crm", method="POST", endpoint="/d")
    for each in (put, post, node("emit", "say", type="a.b")):
        context = await flows.context(
            flows.flow(chain(dict(START), each), write_enabled=True), rehearse=True
        )
        outcome = await flows.go(context)
        assert isinstance(outcome, Outcome)
        assert (outcome.status, outcome.model) == (RunStatus.FAILED, REHEARSAL)

    assert flows.service.requests == []
    assert await flows.ledger.count_items() == {}
    assert await flows.ledger.unmatched(limit=9) == []


async def test_another_workflow_runs_with_a_payload_of_its_own(flows: WorkflowHouse) -> None:
    flows.workflows["twice"] = chain(
        node("trigger", "start"), node("transform", "two", value=["{{ $.n }}", "{{ $.n }}"])
    )
    work = chain(
        dict(START), node("workflow", "call", workflow="twice", payload={"n": "{{ $.x }}"})
    )

    outcome = await flows.walk(work, payload={"x": 3})

    assert done(outcome) == [3, 3]
    assert flows.entry(EntryType.NODE_FINISHED, "call/two").parent == "call"


async def test_workflows_that_call_each_other_for_ever_end(flows: WorkflowHouse) -> None:
    flows.workflows["again"] = chain(
        node("trigger", "start"), node("workflow", "call", workflow="again")
    )

    outcome = await flows.walk(chain(dict(START), node("workflow", "call", workflow="again")))

    assert "more than 8 deep" in (outcome.error or "")


async def test_branches_walk_side_by_side_and_their_values_are_seen(flows: WorkflowHouse) -> None:
    work = graph(
        node("parallel", "both", "sum", branches=["a", "b"]),
        node("transform", "a", "a2", value="{{ payload.n }}"),
        node("transform", "a2", value={"of": "{{ inputs.a }}"}),
        node("transform", "b", value="b"),
        node("transform", "sum", value=["{{ inputs.both.a.of }}", "{{ inputs.b }}"]),
    )

    outcome = await flows.walk(work, payload={"n": 1})

    assert done(outcome) == [1, "b"]
    assert flows.values()["both"] == {"a": {"of": 1}, "b": "b"}
    assert flows.entry(EntryType.NODE_FINISHED, "a2").parent == "both"


async def test_agents_in_branches_do_not_mix(flows: WorkflowHouse) -> None:
    flows.model.answer(lambda asked: Turn(text="A" if "task a" in asked.user else "B"))
    work = graph(
        node("parallel", "both", branches=["a", "b"]),
        node("agent", "a", prompt="task a"),
        node("agent", "b", prompt="task b"),
    )

    outcome = await flows.walk(work)

    done(outcome)
    assert [flows.values()[each] for each in "ab"] == [
        {"text": "A", "payload": None},
        {"text": "B", "payload": None},
    ]
    assert outcome.usage.turns == 2


def test_a_graph_without_an_agent_loads_no_model_library() -> None:
    code = (
        "import sys; import amodal_rt.executors.work, amodal_rt.executors.workflow.walking;"
        "print([each for each in ('pydantic_ai', 'mcp', 'liquid') if each in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert said.stdout.strip() == "[]"
