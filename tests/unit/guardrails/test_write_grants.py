"""`writes` covers what it spells, and nothing that a server might take for it."""

import json
from typing import Any

import pytest

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.connection import Access, AccessRule, Confirm, Connection, Intent, Protocol
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.guardrails.calls import Call, RestCall, ToolCall
from amodal_rt.guardrails.write_grants import grant_text
from amodal_rt.guardrails.writes import Decision, decide, powers_of

CHAT = {
    "connection": "chat",
    "endpoint": "POST /rooms/{id}/messages",
    "pin": {"data.channel": {"in": ["C1", "C2"]}, "params.team": "T1"},
}
MAIL = {"connection": "mail", "tool": "send_*", "pin": {"to": ["me@here.example"], "urgent": 1}}
REST = Connection(name="chat", protocol=Protocol.REST, hash="h")
TOOLS = Connection(name="mail", protocol=Protocol.MCP, hash="h")


def automation(*writes: object, enabled: bool = True) -> Definition:
    """Its `writes` stand on line 2, and each line below."""
    lines = ",\n".join(json.dumps(each) for each in writes)
    opening = f'{{"title": "A", "prompt": "x", "writeEnabled": {json.dumps(enabled)},'
    text = f'{opening}\n"writes": [\n{lines}]}}'
    parsed = parse_automation(
        text.encode(), file="automations/a.json", settings=WorkspaceSettings(), read_prompt=str
    )
    assert parsed.definition is not None, parsed.problems
    return parsed.definition


def asked(call: Call, *writes: object, connection: Connection | None = None) -> Decision:
    found = connection or (TOOLS if isinstance(call, ToolCall) else REST)
    return decide(call, found, powers_of(automation(*(writes or (CHAT, MAIL)))))


def post(path: str = "/rooms/7/messages", **keys: Any) -> RestCall:
    given: dict[str, Any] = {
        "method": "POST", "params": (("team", "T1"),), "data": {"channel": "C1", "text": "hi"},
    }  # fmt: skip
    return RestCall(path=path, **(given | keys))


COVERED: dict[str, Call] = {
    "as pinned": post(),
    "the other value": post(data={"channel": "C2"}),
    "told to be JSON": post(headers={"Content-Type": "application/json; charset=utf-8"}),
    "tool": ToolCall(tool="send_mail", arguments={"to": ["me@here.example"], "urgent": 1.0}),
}


@pytest.mark.parametrize("call", COVERED.values(), ids=COVERED.keys())
def test_a_line_covers_what_it_spells(call: Call) -> None:
    decision = asked(call)

    assert decision.allowed
    assert decision.grant is not None
    assert decision.rule == f"writes[{decision.grant.index}]"


# Each would reach another place than the pinned one, on some server.
ASTRAY: dict[str, Call] = {
    "another method": post(method="PUT"),
    "another path": post("/rooms/7/members"),
    "a longer path": post("/rooms/7/messages/8"),
    "other capitals": post("/Rooms/7/messages"),
    "a trailing slash": post("/rooms/7/messages/"),
    "an empty part": post("/rooms//messages"),
    "encoded": post("/rooms/7/message%73"),
    "an override header": post(headers={"X-HTTP-Method-Override": "DELETE"}),
    "an override parameter": post(params=(("team", "T1"), ("_method", "DELETE"))),
    "an override field": post(data={"channel": "C1", "_method": "DELETE"}),
    "two overrides": post(headers={"X-Method": "POST", "X-HTTP-Method": "PUT"}),
    "another value": post(data={"channel": "C9"}),
    "no value": post(data={"text": "hi"}),
    "no body": post(data=None),
    "a list of values": post(data={"channel": ["C1"]}),
    "a value in other capitals": post(data={"channel": "c1"}),
    "a text that reads as JSON": post(data='{"channel": "C1", "channel": "C9"}'),
    "a form": post(data="channel=C1&channel=C9"),
    "a batch": post(data=[{"channel": "C1"}, {"channel": "C9"}]),
    "a body of another type": post(
        data={"channel": "C1", "a": "&channel=C9&"},
        headers={"content_type": "application/x-www-form-urlencoded"},
    ),
    "the key twice, other capitals": post(data={"channel": "C1", "Channel": "C9"}),
    "the key twice, with a space": post(data={"channel": "C1", "channel ": "C9"}),
    "the field as a parameter": post(params=(("team", "T1"), ("channel", "C9"))),
    "the field as a nested parameter": post(params=(("team", "T1"), ("channel[]", "C9"))),
    "a parameter twice": post(params=(("team", "T1"), ("team", "T9"))),
    "a parameter in other capitals": post(params=(("team", "T1"), ("TEAM", "T9"))),
    "a parameter as a list": post(params=(("team", "T1"), ("team[0]", "T9"))),
    "a parameter in the body": post(data={"channel": "C1", "team": "T9"}),
    "no parameter": post(params=()),
    "another tool": ToolCall(tool="delete_mail", arguments={"to": ["me@here.example"]}),
    "a tool's other receiver": ToolCall(
        tool="send_mail", arguments={"to": ["me@here.example", "evil@x.example"], "urgent": 1}
    ),
    "a tool's true for 1": ToolCall(
        tool="send_mail", arguments={"to": ["me@here.example"], "urgent": True}
    ),
    "a tool's argument twice": ToolCall(
        tool="send_mail", arguments={"to": ["me@here.example"], "To": "e", "urgent": 1}
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", ASTRAY.values(), ids=ASTRAY.keys())
def test_what_a_server_might_take_for_the_pinned_call_is_refused(call: Call) -> None:
    decision = asked(call)

    assert not decision.allowed
    assert decision.rule == "writes"
    assert "automations/a.json:" in decision.reason


def test_a_refusal_names_the_line_that_would_allow_it() -> None:
    decision = asked(post("/rooms/7/members"))

    line = '{"connection": "chat", "endpoint": "POST /rooms/7/members"}'
    assert f'{line} in "writes" of automations/a.json:2 would allow it' in decision.reason
    assert asked(post("/rooms/7/members"), json.loads(line)).allowed


def test_a_broken_pin_is_named_with_its_line() -> None:
    decision = asked(post(data={"channel": "C9"}), MAIL, CHAT)

    assert 'data.channel is pinned to "C1" or "C2", and is "C9"' in decision.reason
    assert "(automations/a.json:4)" in decision.reason


def test_a_second_line_covers_what_the_first_does_not() -> None:
    other = {"connection": "chat", "endpoint": "* /rooms/**", "perRun": 2}

    decision = asked(post(data={"channel": "C9"}), CHAT, other)

    assert decision.grant is not None
    assert (decision.grant.index, decision.grant.per_run) == (1, 2)


def test_an_empty_list_allows_nothing_and_none_allows_all() -> None:
    assert not decide(post(), REST, powers_of(automation())).allowed
    assert asked(post(), {"connection": "chat"}).allowed
    assert not asked(post(), {"connection": "mail"}).allowed


def test_a_list_opens_nothing_that_write_enabled_does_not() -> None:
    decision = decide(post(), REST, powers_of(automation(CHAT, enabled=False)))

    assert not decision.allowed
    assert '"writeEnabled": true' in decision.reason


def test_a_list_opens_nothing_that_access_json_forbids() -> None:
    rule = AccessRule(match="POST /rooms/{id}/messages", confirm=Confirm.NEVER)
    forbidden = Connection(
        name="chat", protocol=Protocol.REST, hash="h", access=Access(endpoints=(rule,))
    )

    assert not asked(post(), connection=forbidden).allowed


def test_reads_need_no_line() -> None:
    assert asked(RestCall(method="GET", path="/x")).intent is Intent.READ
    assert asked(RestCall(method="GET", path="/x")).allowed


def test_a_line_reads_as_a_sentence() -> None:
    grants = automation(CHAT | {"perRun": 1}).automation.writes

    assert [grant_text(each) for each in grants or ()] == [
        (
            'POST /rooms/{id}/messages of chat, where data.channel is "C1" or "C2", '
            'where params.team is "T1", at most 1 a run'
        )
    ]
