"""Whether a graph can run among the others."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.definitions.graph import parse_workflow
from amodal_rt.definitions.naming_workflows import Workflows
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.connection import (
    Access,
    AccessRule,
    Agent,
    Connection,
    Intent,
    Protocol,
)
from amodal_rt.domain.delivery import Target, TargetType
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workflow import Workflow
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.settings import Environment
from amodal_rt.workspace.judging import Verdict, judge
from amodal_rt.workspace.world import World

WORLD = World(
    settings=WorkspaceSettings(model=("anthropic:x",)),
    agents={"narrow": Agent(name="narrow", hash="0", instructions="x", connections=("tools",))},
    connections={
        "stripe": Connection(name="stripe", protocol=Protocol.REST, hash="0", secrets=("KEY",)),
        "tools": Connection(name="tools", protocol=Protocol.MCP, hash="0"),
    },
    environment=Environment(process={"KEY": "x"}),
    broken_agents=frozenset({"broken"}),
    broken_connections=frozenset({"bad"}),
    stores=frozenset({"seen"}),
    broken_stores=frozenset({"bad"}),
)


def graph(*nodes: dict[str, Any], trigger: str | None = None) -> dict[str, Any]:
    made = [{"id": f"n{place}", **node} for place, node in enumerate(nodes)]
    for before, after in pairwise(made):
        before["on_success"] = after["id"]
    start: dict[str, Any] = {"kind": "trigger", "id": "start", "on_success": "n0"}
    if trigger is not None:
        start["trigger"] = trigger
    return {"kind": "WorkflowGraph", "nodes": [start, *made]}


def named(name: str, *nodes: dict[str, Any]) -> Workflow:
    text = json.dumps(graph(*nodes)).encode()
    found, problems = parse_workflow(text, file=f"workflows/{name}.json", scripts={})
    assert found is not None, problems
    return found


VALUE = {"kind": "transform", "value": 1}


def definition(document: object, world: World = WORLD, **keys: Any) -> Definition:
    text = json.dumps({"title": "X", "workflow": document, **keys}, indent=1)
    parsed = parse_automation(
        text.encode(),
        file="automations/x.json",
        settings=world.settings,
        read_prompt=str,
        workflows=Workflows(named=world.workflows),
    )
    assert parsed.definition is not None, parsed.problems
    return parsed.definition


def judged(*nodes: dict[str, Any], world: World = WORLD, **keys: Any) -> Verdict:
    return judge(definition(graph(*nodes), world, **keys), world)


def told(problems: tuple[Problem, ...]) -> list[tuple[str, str]]:
    return [(each.code, each.message) for each in problems]


def request(connection: str = "stripe", **keys: Any) -> dict[str, Any]:
    return {"kind": "request", "connection": connection, "endpoint": "/x", **keys}


def test_a_graph_that_can_run_is_no_problem_and_needs_no_model() -> None:
    nodes = (
        request(),
        {"kind": "mcp", "connection": "tools", "tool": "t"},
        {"kind": "store", "store": "seen", "action": "query"},
    )
    assert judged(*nodes, writeEnabled=True, acknowledge=["trifecta"]) == Verdict()


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no connection": (request("strip"), "unknown_connection", 'no connection "strip"'),
    "a broken one": (request("bad"), "broken_connection", "connections/bad is invalid"),
    "a tool server": (request("tools"), "wrong_connection", "tools is an MCP connection"),
    "no tool server": (
        {"kind": "mcp", "connection": "stripe", "tool": "t"},
        "wrong_connection",
        "stripe is no MCP connection",
    ),
    "a broken store": (
        {"kind": "store", "store": "bad", "action": "query"},
        "broken_store",
        "stores/bad.json is invalid",
    ),
    "no store": ({"kind": "store", "store": "sen", "action": "query"}, "unknown_store", "sen"),
    "no target": ({"kind": "deliver", "targets": ["ops"], "message": "x"}, "unknown_target", "ops"),
    "no agent": ({"kind": "agent", "prompt": "x", "agent": "narow"}, "unknown_agent", "narow"),
    "a broken agent": ({"kind": "agent", "prompt": "x", "agent": "broken"}, "broken_agent", ""),
    "an agent's connection": (
        {"kind": "agent", "prompt": "x", "connections": ["strip"]},
        "unknown_connection",
        "strip",
    ),
    "another's word": ({"kind": "emit", "type": "github.push"}, "reserved_type", "provider github"),
    "the runtime's": ({"kind": "emit", "type": "automation.run.completed"}, "reserved_type", ""),
    "no workflow": ({"kind": "workflow", "workflow": "gone"}, "unknown_workflow", "gone"),
}


@pytest.mark.parametrize(("node", "code", "said"), WRONG.values(), ids=WRONG.keys())
def test_names_that_nothing_here_has_are_errors_of_their_node(
    node: dict[str, Any], code: str, said: str
) -> None:
    error = judged(VALUE, node).errors[0]
    assert error.code == code
    assert error.message.startswith('node "n1": ')
    assert said in error.message
    assert error.file == "automations/x.json"
    assert error.line is not None
    assert error.line > 10


def test_what_a_sub_workflow_names_is_judged_with_it() -> None:
    inner = named("inner", request("strip"))
    outer = named("outer", {"kind": "workflow", "workflow": "inner"})
    world = replace(WORLD, workflows={"inner": inner, "outer": outer})
    errors = judged({"kind": "workflow", "workflow": "outer"}, world=world).errors
    assert [(each.code, each.file) for each in errors] == [
        ("unknown_connection", "workflows/inner.json")
    ]


@pytest.mark.parametrize("through", ["waits", "between"])
def test_a_workflow_that_waits_is_not_run_within_a_branch(through: str) -> None:
    waits = named("waits", VALUE, {"kind": "wait", "duration": "1h"})
    between = named("between", {"kind": "workflow", "workflow": "waits"})
    world = replace(
        WORLD, workflows={"waits": waits, "between": between, "quick": named("quick", VALUE)}
    )
    branch = {"kind": "workflow", "id": "sub", "on_success": "end"}
    document = graph({"kind": "parallel", "branches": ["sub", "other"]})
    beside = [{**VALUE, "id": "other"}, {**VALUE, "id": "end"}]

    def problems(name: str) -> list[tuple[str, str]]:
        nodes = [*document["nodes"], {**branch, "workflow": name}, *beside]
        return told(judge(definition({**document, "nodes": nodes}, world), world).errors)

    assert problems(through) == [
        (
            "waits_in_branch",
            'node "sub": waits waits, at its node "n1", within a branch of "n0"',
        )
    ]
    assert problems("quick") == []


def test_nodes_have_no_more_powers_than_the_automation() -> None:
    assert told(judged(request(), connections=["tools"]).errors) == [
        ("not_granted", 'node "n0": automations/x.json does not grant stripe')
    ]
    assert told(judged(request(), tools=["stripe.other"]).errors) == [
        ("not_granted", 'node "n0": automations/x.json does not grant stripe.request')
    ]
    assert told(judged(request(), agent="narrow").errors)[0][0] == "not_granted"
    assert judged(request(), tools=["stripe.request"]).errors == ()


def test_a_node_whose_connection_lacks_its_secret_blocks() -> None:
    world = replace(WORLD, environment=Environment())
    assert [each.code for each in judged(request(), world=world).blocked] == ["env_missing"]
    assert judged(VALUE, world=world).blocked == ()


def test_only_agent_nodes_need_a_model() -> None:
    agent = {"kind": "agent", "prompt": "x"}
    assert [each.code for each in judged(agent).blocked] == ["model_key_missing"]
    assert judged({**agent, "model": "nobody:x"}).errors != ()
    assert judged(VALUE).blocked == ()


def test_an_event_that_nothing_describes_is_a_warning() -> None:
    verdict = judged({"kind": "emit", "type": "order.checked"})
    assert verdict.errors == ()
    assert [each.code for each in verdict.warnings] == ["unknown_event"]


def test_targets_are_those_of_the_settings() -> None:
    target = Target(type=TargetType.CALLBACK, label="ops", name="ops")
    world = replace(WORLD, settings=WorkspaceSettings(targets={"ops": target}))
    node = {"kind": "deliver", "targets": ["ops"], "message": "x"}
    assert judged(node, world=world).errors == ()


ENTRIES: dict[str, tuple[str | None, dict[str, Any], bool]] = {
    "any": (None, {"schedule": "0 9 * * *"}, True),
    "a schedule": ("workflow.scheduled", {"schedule": "0 9 * * *"}, True),
    "not a schedule": ("order.created", {"schedule": "0 9 * * *"}, False),
    "an event": ("order.created", {"trigger": "order.created"}, True),
    "another event": ("order.created", {"trigger": "order.updated"}, False),
    "a wider node": ("order.*", {"trigger": "order.created"}, True),
    "a narrower node": ("order.created", {"trigger": "order.*"}, True),
    "an event at a schedule's": ("workflow.scheduled", {"trigger": "order.created"}, False),
    "by hand": ("order.created", {"trigger": "manual"}, True),
    "a webhook": ("order.created", {"trigger": "webhook"}, True),
}


@pytest.mark.parametrize(("node", "keys", "fits"), ENTRIES.values(), ids=ENTRIES.keys())
def test_a_trigger_node_stands_for_what_starts_the_automation(
    node: str | None, keys: dict[str, Any], fits: bool
) -> None:
    errors = judge(definition(graph(VALUE, trigger=node), **keys), WORLD).errors
    assert [each.code for each in errors] == ([] if fits else ["trigger_mismatch"])
    assert fits or errors[0].line is not None


WRITES: dict[str, tuple[dict[str, Any], str | None]] = {
    "a read": (request(), None),
    "a write": (request(method="POST", endpoint="/y"), "POST /y of stripe is a write"),
    "a path with a template": (
        request(method="DELETE", endpoint="/y/{{ payload.id }}"),
        "DELETE /y/{{ payload.id }} of stripe is a write",
    ),
    "a search that only reads": (request(method="POST", endpoint="/search/{{ $.q }}"), None),
    "a read that is named a write": (request(endpoint="/charge/{{ $.id }}"), "names GET /charge"),
    "a path that nobody knows": (request(method="POST", endpoint="{{ $.path }}"), None),
    "a mutation": (
        request(method="POST", endpoint="/graphql", data={"query": "mutation { x }"}),
        "a GraphQL mutation",
    ),
    "an override": (
        request(headers={"X-HTTP-Method-Override": "DELETE"}),
        "a method override asks for DELETE",
    ),
    "a tool": ({"kind": "mcp", "connection": "tools", "tool": "drop"}, "drop of tools is a write"),
    "a tool that only reads": ({"kind": "mcp", "connection": "tools", "tool": "look"}, None),
    "a tool for which its server speaks": (
        {"kind": "mcp", "connection": "trusted", "tool": "drop"},
        None,
    ),
}


@pytest.mark.parametrize(("node", "said"), WRITES.values(), ids=WRITES.keys())
def test_a_write_of_a_read_only_automation_is_told_at_its_node(
    node: dict[str, Any], said: str | None
) -> None:
    endpoints = (
        AccessRule(match="POST /search/{q}", intent=Intent.READ),
        AccessRule(match="GET /charge/{id}", intent=Intent.WRITE),
    )
    tools = (AccessRule(match="look", intent=Intent.READ),)
    stripe, server = WORLD.connections["stripe"], WORLD.connections["tools"]
    connections = {
        "stripe": replace(stripe, access=Access(endpoints=endpoints)),
        "tools": replace(server, access=Access(tools=tools)),
        "trusted": replace(server, name="trusted", trust_annotations=True),
    }
    inner = named("inner", VALUE, node)
    world = replace(WORLD, connections=connections, workflows={"inner": inner})

    found = judged({"kind": "workflow", "workflow": "inner"}, world=world)
    accepted = {"writeEnabled": True, "acknowledge": ["trifecta"]}
    allowed = judged({"kind": "workflow", "workflow": "inner"}, world=world, **accepted)

    assert (found.errors, allowed.warnings) == ((), ())
    assert len(found.warnings) == (said is not None)
    for each in found.warnings:
        assert (each.code, each.severity) == ("write_not_enabled", "warning")
        assert each.file == "workflows/inner.json"
        assert each.message.startswith('node "n1": ')
        assert str(said) in each.message
        assert "automations/x.json" in str(each.hint)


def test_a_message_that_waits_for_a_variable_is_told_at_its_node() -> None:
    url = Target(type=TargetType.WEBHOOK, label="r", url=SecretRef("REPORTS_URL"))
    plain = Target(type=TargetType.WEBHOOK, label="p", url="https://p.example/x")
    settings = replace(WORLD.settings, targets={"reports": url, "plain": plain})
    world = replace(WORLD, settings=settings)
    tells = {"kind": "deliver", "targets": ["plain", "reports"], "message": "x"}
    variables = {"KEY": "x", "REPORTS_URL": "https://r.example"}
    ready = replace(world, environment=Environment(process=variables))

    found = judged(tells, world=world)

    assert (found.errors, found.blocked) == ((), ())
    assert told(found.warnings) == [
        ("env_missing", 'node "n0": messages to reports wait: REPORTS_URL is not set')
    ]
    assert judged(tells, world=ready).warnings == ()


def test_a_template_that_names_a_variable_which_was_not_granted_is_an_error_of_its_node() -> None:
    nodes = (
        {"kind": "transform", "value": [{"deep": "at {{ env.KEY }} and {{ payload.env.x }}"}]},
        request(endpoint="/x", params={"key": "{{ env.OTHER | default: 1 }}"}),
        {"kind": "transform", "value": "env.PLAIN is a text"},
    )

    assert told(judged(*nodes, env=["KEY", "OTHER"]).errors) == []
    assert told(judged(*nodes, env=["KEY"]).errors) == [
        ("not_granted", 'node "n1": automations/x.json does not grant the variable OTHER')
    ]
    assert [each.code for each in judged(VALUE, env=["UNSET"]).blocked] == ["env_missing"]
