"""Whether a good file can run among the others."""

from dataclasses import replace
from typing import Any

import pytest

from amodal_rt.domain.automation import (
    AgentWork,
    Automation,
    ChatMessage,
    Definition,
    Expectation,
    Gate,
    GateRead,
    Probe,
    WriteGrant,
)
from amodal_rt.domain.connection import (
    Access,
    AccessRule,
    Agent,
    Confirm,
    Connection,
    Intent,
    Protocol,
)
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.trigger import (
    ManualTrigger,
    SignatureScheme,
    WebhookAuth,
    WebhookTrigger,
)
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.settings import Environment
from amodal_rt.workspace.judging import judge
from amodal_rt.workspace.world import World

WORLD = World(
    settings=WorkspaceSettings(),
    agents={
        "reviewer": Agent(name="reviewer", hash="0", instructions="Review."),
        "narrow": Agent(name="narrow", hash="0", instructions="x", connections=("tools",)),
    },
    connections={
        "stripe": Connection(name="stripe", protocol=Protocol.REST, hash="0", secrets=("KEY",)),
        "runtime": Connection(name="runtime", protocol=Protocol.RUNTIME, hash="0"),
        "tools": Connection(
            name="tools",
            protocol=Protocol.MCP,
            hash="0",
            access=Access(tools=(AccessRule(match="t", intent=Intent.READ),)),
        ),
    },
    environment=Environment(),
    broken_agents=frozenset({"broken"}),
    broken_connections=frozenset({"bad"}),
)


def _definition(*, secrets: tuple[str, ...] = (), **keys: Any) -> Definition:
    automation = Automation(
        name="x",
        title="X",
        work=AgentWork(messages=(ChatMessage("user", "look"),)),
        triggers=(ManualTrigger(),),
    )
    return Definition(
        automation=replace(automation, **keys),
        hash="0",
        document="{}",
        file="automations/x.json",
        secrets=secrets,
        lines={
            "/agent": 3,
            "/connections/1": 5,
            "/tools/0": 6,
            "/model": 7,
            "/when/connection": 8,
            "/when/tool": 9,
            "/when/endpoint": 10,
            "/expect/stores": 11,
            "/expect/probe/endpoint": 12,
            "/writes/0": 11,
        },
    )


def _gate(connection: str, endpoint: str | None = "/a", tool: str | None = None) -> Gate:
    read = GateRead(connection=connection, endpoint=None if tool else endpoint, tool=tool)
    return Gate(read=read, changed=True)


def test_a_gate_that_can_be_asked_is_no_problem_and_needs_its_secret() -> None:
    assert judge(_definition(gate=_gate("runtime")), WORLD).errors == ()
    assert judge(_definition(gate=_gate("tools", tool="t")), WORLD).errors == ()

    verdict = judge(_definition(gate=_gate("stripe")), WORLD)

    assert [problem.code for problem in verdict.blocked] == ["env_missing"]


_READ = AccessRule(match="t*", intent=Intent.READ)


def _with(**changes: Any) -> World:
    """The world with another `tools` connection."""
    tools = replace(WORLD.connections["tools"], **changes)
    return replace(WORLD, connections={**WORLD.connections, "tools": tools})


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"access": Access()}, '"tools": {"t": {"intent": "read"}}'),
        ({"access": Access(tools=(replace(_READ, intent=Intent.WRITE),))}, "says t* is a write"),
        ({"access": Access(tools=(replace(_READ, confirm=Confirm.NEVER),))}, "names t*"),
        (
            {
                "access": Access(tools=(replace(_READ, intent=Intent.WRITE),)),
                "trust_annotations": True,
            },
            "says t* is a write",
        ),
    ],
)
def test_a_tool_that_the_connection_calls_no_read_is_no_gate(
    changes: dict[str, Any], word: str
) -> None:
    definition = _definition(gate=_gate("tools", tool="t"))

    (problem,) = judge(definition, _with(**changes)).errors

    assert (problem.code, problem.file, problem.line) == ("not_a_read", "automations/x.json", 9)
    assert word in problem.sentence()
    assert problem.hint is not None


def test_a_tool_that_only_its_server_can_speak_for_is_judged_when_it_is_called() -> None:
    definition = _definition(gate=_gate("tools", tool="t"))

    trusting = _with(access=Access(), trust_annotations=True)

    assert judge(definition, trusting).errors == ()


def test_what_expect_names_must_be_there_and_only_be_read() -> None:
    probe = Probe(read=GateRead(connection="runtime", endpoint="/a/../b"))
    definition = _definition(expect=Expectation(stores=("nowhere",), probe=probe))

    errors = judge(definition, WORLD).errors

    assert [each.code for each in errors] == ["bad_expect", "unknown_store"]
    assert all(each.line for each in errors)


@pytest.mark.parametrize(
    ("endpoint", "code", "word"),
    [
        ("/a/7", "not_a_read", "GET /a/7 of runtime is a write"),
        ("/b?_method=DELETE", "not_a_read", "method override"),
        ("/b/../a", "bad_when", "climbs"),
        ("//evil.example/a", "bad_when", "doubled slash"),
    ],
)
def test_an_endpoint_that_the_gate_could_never_read_is_refused(
    endpoint: str, code: str, word: str
) -> None:
    rule = AccessRule(match="GET /a/{id}", intent=Intent.WRITE)
    known = replace(WORLD.connections["runtime"], access=Access(endpoints=(rule,)))
    world = replace(WORLD, connections={**WORLD.connections, "runtime": known})

    (problem,) = judge(_definition(gate=_gate("runtime", endpoint)), world).errors

    assert (problem.code, problem.line) == (code, 10)
    assert word in problem.sentence()
    assert problem.hint is not None


def test_what_names_nothing_needs_nothing() -> None:
    verdict = judge(_definition(connections=()), WORLD)

    assert (verdict.errors, verdict.blocked, verdict.warnings) == ((), (), ())


@pytest.mark.parametrize(
    ("keys", "code", "line", "word"),
    [
        ({"agent": "reviewr"}, "unknown_agent", 3, "reviewer"),
        ({"agent": "broken"}, "broken_agent", 3, "agents/broken.md"),
        ({"connections": ("runtime", "runtme")}, "unknown_connection", 5, "runtime"),
        ({"connections": ("runtime", "bad")}, "broken_connection", 5, "connections/bad"),
        ({"tools": ("strpe.request",)}, "unknown_tool", 6, "stripe"),
        ({"tools": ("read_connecton",)}, "unknown_tool", 6, "read_connection"),
        ({"models": ("opnai:gpt",)}, "unknown_model", 7, "opnai"),
        ({"writes": (WriteGrant(connection="strpe"),)}, "unknown_connection", 11, "strpe"),
        (
            {"writes": (WriteGrant(connection="tools", endpoint="POST /a"),)},
            "bad_writes",
            11,
            "an MCP connection",
        ),
        ({"writes": (WriteGrant(connection="runtime"),)}, "bad_writes", 11, "only reads"),
        (
            {"writes": (WriteGrant(connection="tools"),), "connections": ("runtime",)},
            "not_granted",
            11,
            "may use",
        ),
        ({"gate": _gate("crm")}, "unknown_connection", 8, "no such connection"),
        ({"gate": _gate("bad")}, "unknown_connection", 8, "mend it"),
        ({"gate": _gate("runtime", tool="t")}, "bad_when", 8, "no MCP connection"),
        ({"gate": _gate("tools", endpoint="/a")}, "bad_when", 8, "an MCP connection"),
        ({"gate": _gate("runtime"), "agent": "narrow"}, "not_granted", 8, "agents/narrow.md"),
        (
            {"gate": _gate("tools", tool="t"), "tools": ("tools.other",)},
            "not_granted",
            9,
            "tools.t, which is not among the tools of automations/x.json",
        ),
        (
            {"gate": _gate("runtime"), "tools": ("query_store",)},
            "not_granted",
            10,
            "runtime.request",
        ),
    ],
)
def test_a_name_that_nothing_bears_is_an_error_at_its_line(
    keys: dict[str, Any], code: str, line: int, word: str
) -> None:
    (problem,) = judge(_definition(**keys), WORLD).errors

    assert (problem.code, problem.file, problem.line) == (code, "automations/x.json", line)
    assert word in problem.sentence()


@pytest.mark.parametrize(
    "tools",
    [("stripe.request", "runtime.*"), ("request", "query_store"), ("*.read",), ("runtime__list",)],
)
def test_tools_of_connections_and_of_the_runtime_are_known(tools: tuple[str, ...]) -> None:
    assert judge(_definition(tools=tools), WORLD).errors == ()


def test_an_unset_secret_of_its_own_blocks() -> None:
    verdict = judge(_definition(secrets=("HOOK",), connections=()), WORLD)

    assert [problem.code for problem in verdict.blocked] == ["env_missing"]
    assert "HOOK" in verdict.blocked[0].message


def test_a_named_connections_unset_secret_blocks() -> None:
    verdict = judge(_definition(connections=("stripe",)), WORLD)

    assert [problem.code for problem in verdict.blocked] == ["env_missing"]


def test_an_agents_named_connection_counts_as_named() -> None:
    agent = Agent(name="reviewer", hash="0", instructions="x", connections=("stripe",))
    world = replace(WORLD, agents={"reviewer": agent})

    assert judge(_definition(agent="reviewer"), world).blocked != ()


def test_a_connection_that_is_merely_there_is_disabled_with_a_warning() -> None:
    verdict = judge(_definition(), WORLD)

    assert verdict.blocked == ()
    assert [problem.code for problem in verdict.warnings] == ["connection_disabled"]
    assert "stripe" in verdict.warnings[0].message


def test_a_configured_model_without_its_key_blocks_and_a_key_unblocks() -> None:
    definition = _definition(models=("openai:gpt",), connections=())
    world = replace(WORLD, environment=Environment(process={"OPENAI_API_KEY": "sk"}))

    blocked = judge(definition, WORLD).blocked

    assert [problem.code for problem in blocked] == ["model_key_missing"]
    assert "OPENAI_API_KEY" in blocked[0].message
    assert judge(definition, world).blocked == ()


@pytest.mark.parametrize(
    ("scheme", "good"),
    [
        (SignatureScheme.GITHUB, "planted" * 3),
        (SignatureScheme.GITLAB, "planted" * 3),
        (SignatureScheme.DISCORD, "0a" * 32),
        (SignatureScheme.STANDARD_WEBHOOKS, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ],
)
def test_a_secret_that_is_short_or_no_key_stops_the_webhook_and_is_not_shown(
    scheme: SignatureScheme, good: str
) -> None:
    auth = WebhookAuth(scheme=scheme, secrets=(SecretRef("HOOK"),))
    definition = _definition(triggers=(WebhookTrigger(auth=auth),), connections=())
    short = replace(WORLD, environment=Environment(process={"HOOK": "planted"}))
    long = replace(WORLD, environment=Environment(process={"HOOK": good}))

    (problem,) = judge(definition, short).blocked

    assert problem.code == "env_bad"
    assert "HOOK" in problem.message
    assert "planted" not in problem.sentence()
    assert judge(definition, long).blocked == ()
