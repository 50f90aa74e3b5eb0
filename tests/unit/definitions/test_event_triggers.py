"""Which events start an automation: every spelling of one thing means the same."""

import json
from typing import Any

import pytest
from definition_samples import parse

from amodal_rt.domain.filter import Rule, Test
from amodal_rt.domain.params import Param, ParamTest
from amodal_rt.domain.trigger import EventCondition, EventTrigger, Trigger, Wanted, WebhookTrigger

DRAFT = Rule(path=("issue", "draft"), test=Test.EQ, values=(False,))
OPENED = Param("action", ParamTest.EQ, ("opened",))
WANTED = Wanted(params=(OPENED,), filter=DRAFT, actors=("github:octocat", "ada"))
CONDITION = EventCondition(event="github.issues.opened", wanted=WANTED)


def triggers(**keys: Any) -> tuple[Trigger, ...]:
    parsed = parse(json.dumps({"title": "T", "prompt": "x", **keys}))
    assert parsed.definition is not None, parsed.problems
    assert parsed.problems == ()
    return parsed.definition.automation.triggers


NARROWED: dict[str, Any] = {
    "params": {"action": {"op": "eq", "value": "opened"}},
    "filter": {"op": "eq", "path": ["issue", "draft"], "value": False},
    "actors": ["github:octocat", "ada"],
}
SHORT: dict[str, Any] = {**NARROWED, "filter": {"issue.draft": False}}


@pytest.mark.parametrize(
    "keys",
    [
        {"trigger": "github.issues.opened", **NARROWED},
        {"trigger": "github.issues.opened", **SHORT},
        {"triggers": [{"type": "event", "event": "github.issues.opened", **SHORT}]},
        {"triggers": [{"type": "event", "event_type": "github.issues.opened", **SHORT}]},
        {"triggers": [{"type": "event", "connection": "github", "event": "issues.opened",
                       **NARROWED}]},
        {"eventConditions": [{"event": "github.issues.opened", **NARROWED}]},
        {"event_conditions": [{"event_type": "github.issues.opened",
                               "payload_filter": {"issue.draft": False},
                               "params": {"action": "opened"},
                               "actors": ["github:octocat", "ada", "ada"]}]},
        {"trigger": "event", "eventConditions": [
            {"eventType": "github.issues.opened", "params": {"action": "opened"},
             "payloadFilter": {"issue.draft": False}, "actors": ["github:octocat", "ada"]}]},
    ],
)  # fmt: skip
def test_one_condition_in_every_spelling(keys: dict[str, Any]) -> None:
    assert triggers(**keys) == (EventTrigger(conditions=(CONDITION,), key="0"),)


@pytest.mark.parametrize("name", ["github.*", "*", "slack:message", "deployed", "thread.created"])
def test_any_name_and_any_glob_may_start_it(name: str) -> None:
    (trigger,) = triggers(trigger=name)

    assert trigger == EventTrigger(conditions=(EventCondition(event=name),), key="0")


def test_conditions_keep_their_order_and_a_text_is_a_list_of_one() -> None:
    (trigger,) = triggers(eventConditions=[{"event": "a.b"}, {"event": "c.*", "actors": "slack:*"}])

    assert isinstance(trigger, EventTrigger)
    assert [each.event for each in trigger.conditions] == ["a.b", "c.*"]
    assert trigger.conditions[1].wanted.actors == ("slack:*",)


def test_a_list_tells_its_triggers_apart_by_their_place() -> None:
    found = triggers(
        triggers=[
            {"type": "cron", "schedule": "@daily"},
            {"type": "event", "event": "a.b"},
            {"type": "event", "event": "a.b", "filter": {"x": 1}},
        ]
    )

    assert [(each.kind.value, getattr(each, "key", None)) for each in found] == [
        ("cron", "0"),
        ("event", "1"),
        ("event", "2"),
    ]


@pytest.mark.parametrize(
    "keys",
    [{"trigger": "webhook", **SHORT}, {"triggers": [{"type": "webhook", **NARROWED}]}],
)
def test_a_webhook_is_narrowed_in_the_same_words(keys: dict[str, Any]) -> None:
    assert triggers(**keys) == (WebhookTrigger(wanted=WANTED),)


@pytest.mark.parametrize("nothing", [{}, None])
def test_params_of_nothing_ask_for_nothing(nothing: object) -> None:
    (trigger,) = triggers(trigger="a.b", params=nothing)

    assert trigger == EventTrigger(conditions=(EventCondition(event="a.b"),), key="0")


@pytest.mark.parametrize("key", ["runAs", "run_as", "runAsUser", "run_as_user"])
def test_in_whose_name_it_runs_has_two_words(key: str) -> None:
    parsed = parse(json.dumps({"title": "T", "prompt": "x", key: "ada", "created_by": "bob"}))

    assert parsed.definition is not None
    automation = parsed.definition.automation
    assert (automation.run_as, automation.created_by) == ("ada", "bob")


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("webhook.github_app.issues", "github.issues.*"),
        ("webhook.github_app.pull_request", "github.pull_request.*"),
        ("webhook.slack.app_mention", "slack.app_mention"),
    ],
)
def test_another_platforms_name_means_what_is_called_otherwise_here(there: str, here: str) -> None:
    waits = (EventTrigger(conditions=(EventCondition(event=here, wanted=Wanted()),), key="0"),)

    assert triggers(trigger=there) == waits
    assert triggers(triggers=[{"type": "event", "event": there}]) == waits
    assert triggers(eventConditions=[{"eventType": there}]) == waits


def test_a_server_may_call_an_event_what_another_platform_calls_one() -> None:
    listed = {"type": "event", "connection": "hub", "event": "webhook.inbound"}
    (found,) = triggers(triggers=[listed])

    assert isinstance(found, EventTrigger)
    assert found.conditions[0].event == "hub.webhook.inbound"


def test_another_platforms_inbound_webhook_is_the_automations_own() -> None:
    (found,) = triggers(trigger="webhook.inbound", params={"action": "opened"})

    assert isinstance(found, WebhookTrigger)
    assert found.wanted.params == (OPENED,)
    listed = {"type": "event", "event": "webhook.inbound"}
    refused = parse(json.dumps({"title": "T", "prompt": "x", "triggers": [listed]}))
    assert [each.code for each in refused.problems] == ["unknown_trigger"]
    assert refused.problems[0].hint == 'add a trigger {"type": "webhook"}'
