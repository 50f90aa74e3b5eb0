"""What a change would let an automation do that it may not do now."""

import json
from typing import Any

import pytest

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.workspace import Snapshot, WorkspaceSettings
from amodal_rt.guardrails.powers import widened


def definition(settings: WorkspaceSettings | None = None, **keys: object) -> Definition:
    text = json.dumps({"title": "A", "prompt": "Look.", **keys}).encode()
    settings = settings or WorkspaceSettings()
    parsed = parse_automation(text, file="automations/a.json", settings=settings, read_prompt=str)
    assert parsed.definition is not None, parsed.problems
    return parsed.definition


def agent(name: str, **keys: Any) -> Agent:
    return Agent(name=name, hash=name, instructions="", **keys)


AGENTS = {
    "main": agent("main", connections=("crm",)),
    "wide": agent("wide", connections=("crm", "mail")),
    "all": agent("all"),
}
SNAPSHOT = Snapshot(version=1, agents=AGENTS)


@pytest.mark.parametrize("name", ["wide", "all"])
def test_another_agent_may_bring_more(name: str) -> None:
    assert widened(definition(), definition(agent=name), SNAPSHOT) == ["connections"]
    assert widened(definition(agent=name), definition(), SNAPSHOT) == []


def test_a_list_of_its_own_keeps_an_agent_from_bringing_more() -> None:
    own: dict[str, Any] = {"connections": ["crm"], "tools": ["crm.*"]}

    assert widened(definition(**own), definition(**own, agent="all"), SNAPSHOT) == []


def test_a_tool_within_a_glob_is_no_more_than_it() -> None:
    before, after = definition(tools=["crm.*"]), definition(tools=["crm.get_deal", "crm.list_*"])

    assert widened(before, after, SNAPSHOT) == []
    assert widened(after, before, SNAPSHOT) == ["tools"]


def test_another_path_of_one_host_is_no_other_receiver() -> None:
    def to(url: str) -> Definition:
        return definition(delivery={"targets": [{"type": "webhook", "url": url}]})

    before = to("https://here.example/a")

    assert widened(before, to("https://here.example/b"), SNAPSHOT) == []
    assert widened(before, to("https://here.example:8443/a"), SNAPSHOT) == ["delivery"]
    assert widened(before, to("http://here.example/a"), SNAPSHOT) == ["delivery"]
    assert widened(before, to("env:OTHER_URL"), SNAPSHOT) == ["delivery"]


def test_a_new_one_may_have_less_than_its_agent_would_give_it() -> None:
    assert widened(None, definition(connections=[], tools=[]), SNAPSHOT) == []
    assert widened(None, definition(writeEnabled=True), SNAPSHOT) == ["writeEnabled"]
    assert widened(None, definition(runAs="ada"), SNAPSHOT) == ["runAs"]


def test_another_member_to_run_as_is_a_grant_and_none_is_not() -> None:
    before = definition(runAs="ada")

    assert widened(before, definition(run_as_user="ada"), SNAPSHOT) == []
    assert widened(before, definition(runAs="bob"), SNAPSHOT) == ["runAs"]
    assert widened(before, definition(), SNAPSHOT) == []


def test_what_the_settings_give_to_all_is_no_grant_of_the_program() -> None:
    target = {"type": "webhook", "url": "https://reports.example/in"}
    settings = WorkspaceSettings(
        defaults={"delivery": {"targets": [target]}, "limits": {"writes": {"perRun": 500}}}
    )

    assert widened(None, definition(settings), Snapshot(version=1, settings=settings)) == []


def test_another_variable_is_a_grant_and_one_less_is_not() -> None:
    graph = {"kind": "WorkflowGraph", "nodes": [{"kind": "trigger", "id": "start"}]}

    def seeing(*names: str) -> Definition:
        text = json.dumps({"title": "A", "workflow": graph, "env": names}).encode()
        settings = WorkspaceSettings()
        parsed = parse_automation(text, file="a.json", settings=settings, read_prompt=str)
        assert parsed.definition is not None, parsed.problems
        return parsed.definition

    assert widened(seeing("REGION"), seeing("REGION", "TOKEN"), SNAPSHOT) == ["env"]
    assert widened(seeing("REGION", "TOKEN"), seeing("TOKEN"), SNAPSHOT) == []
    assert widened(None, seeing("REGION"), SNAPSHOT) == ["env"]


LINE: dict[str, object] = {
    "connection": "crm",
    "endpoint": "POST /deals",
    "pin": {"data.owner": "me"},
    "perRun": 2,
}
NARROWER = LINE | {"perRun": 1, "pin": {"data.owner": "me", "data.kind": "note"}}
WIDER: dict[str, dict[str, object]] = {
    "another value": LINE | {"pin": {"data.owner": "you"}},
    "no pin": {key: LINE[key] for key in ("connection", "endpoint", "perRun")},
    "more of them": LINE | {"perRun": 3},
    "no bound": {key: LINE[key] for key in ("connection", "endpoint", "pin")},
    "another endpoint": LINE | {"endpoint": "POST /**"},
    "a whole connection": {"connection": "crm", "perRun": 2},
}


@pytest.mark.parametrize("line", WIDER.values(), ids=WIDER.keys())
def test_a_line_of_writes_that_covers_more_widens(line: dict[str, object]) -> None:
    before = definition(writeEnabled=True, writes=[LINE])

    assert widened(before, definition(writeEnabled=True, writes=[line]), SNAPSHOT) == ["writes"]


def test_a_list_of_writes_narrows_what_was_open_and_widens_when_taken_away() -> None:
    open_, listed = definition(writeEnabled=True), definition(writeEnabled=True, writes=[LINE])
    narrower = definition(writeEnabled=True, writes=[NARROWER])

    assert widened(open_, listed, SNAPSHOT) == []
    split = definition(writeEnabled=True, writes=[NARROWER, NARROWER])
    assert widened(listed, split, SNAPSHOT) == []
    assert widened(listed, definition(writeEnabled=True, writes=[LINE, NARROWER]), SNAPSHOT) == [
        "writes"
    ]
    assert widened(listed, narrower, SNAPSHOT) == []
    assert widened(listed, definition(writeEnabled=True, writes=[]), SNAPSHOT) == []
    assert widened(listed, open_, SNAPSHOT) == ["writes"]
    assert widened(definition(), definition(writes=[LINE]), SNAPSHOT) == ["writes"]
    assert widened(None, definition(writes=[LINE]), SNAPSHOT) == ["writes"]
