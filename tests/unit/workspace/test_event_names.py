"""Events and members that an automation names are looked for among those that are known."""

import json
from typing import Any

import pytest

from amodal_rt.definitions.automation import parse_automation
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.event_type import EventOrigin, EventType
from amodal_rt.domain.identity import Identities, Member
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.settings import Environment
from amodal_rt.workspace import event_names
from amodal_rt.workspace.judging import judge
from amodal_rt.workspace.world import World

OWN = ("deployed", "deploy.finished")
WORLD = World(
    settings=WorkspaceSettings(),
    agents={},
    connections={
        "crm": Connection(name="crm", protocol=Protocol.MCP, hash="0"),
        "stripe": Connection(name="stripe", protocol=Protocol.REST, hash="0"),
    },
    environment=Environment(),
    event_types={
        name: EventType(
            name=name, origin=EventOrigin.WORKSPACE, source=f"events/{name}.json", description="x"
        )
        for name in OWN
    },
    integrations={
        "work": Integration(
            name="work", auth=WebhookAuth(scheme=SignatureScheme.GITLAB, secrets=())
        )
    },
    identities=Identities(members={"ada": Member(id="ada")}, known=True),
)


def judged(world: World = WORLD, **keys: Any) -> list[tuple[str, str, int | None, str]]:
    """Severity, code, line and hint of each finding."""
    found = findings(world, **keys)
    return [(each.severity, each.code, each.line, each.hint or "") for each in found]


def findings(world: World = WORLD, **keys: Any) -> list[Problem]:
    """What is wrong with an automation that has these keys."""
    text = json.dumps({"title": "T", "prompt": "x", "connections": [], **keys}, indent=1)
    parsed = parse_automation(
        text.encode(), file="automations/x.json", settings=world.settings, read_prompt=str
    )
    assert parsed.definition is not None, parsed.problems
    verdict = judge(parsed.definition, world)
    assert verdict.blocked == ()
    return [*verdict.errors, *verdict.warnings]


@pytest.mark.parametrize(
    "name",
    [
        "deployed",
        "deploy.finished",
        "deploy.*",
        "*",
        "github.issues.opened",
        "github.*",
        "automation.run.completed",
        "thread.created",
        "crm.anything.at.all",
        "gitlab.something_new",
    ],
)
def test_what_some_source_sends_is_known(name: str) -> None:
    assert judged(trigger=name) == []


@pytest.mark.parametrize("name", ["webhook.slack.*", "webhook.github_app.*"])
def test_a_glob_over_names_of_another_platform_waits_for_nothing(name: str) -> None:
    ((severity, code, _, _),) = judged(trigger=name)

    assert (severity, code) == ("warning", "unknown_event")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("github.issues.opend", '"github.issues.opened"'),
        ("deploy.finishd", '"deploy.finished"'),
        ("automation.run.compleeted", '"automation.run.completed"'),
        ("stripe2.x", "ops events types"),
        ("nobody.*", "ops events types"),
    ],
)
def test_what_no_source_is_known_to_send_is_a_warning_with_the_nearest(
    name: str, near: str
) -> None:
    ((severity, code, line, hint),) = judged(trigger=name)

    assert (severity, code, line) == ("warning", "unknown_event", 5)
    assert near in hint


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("gitlab.merge_request.opn", '"gitlab.merge_request.open"'),
        ("gitlab.tag_psuh", '"gitlab.tag_push"'),
        ("gitlab.pipline", '"gitlab.pipeline"'),
    ],
)
def test_a_slip_in_what_a_provider_sends_is_a_warning(name: str, near: str) -> None:
    ((severity, code, line, hint),) = judged(trigger=name)

    assert (severity, code, line) == ("warning", "unknown_event", 5)
    assert near in hint


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("conversationKey", "{{ payload.id }}"),
        ("idempotency_key", "{{ payload.id }}"),
        ("coalesce", {"key": "{{ payload.id }}", "window": "10s"}),
    ],
)
def test_a_key_over_an_event_where_none_starts_anything_is_a_warning(key: str, value: Any) -> None:
    ((severity, code, line, _),) = judged(schedule="@hourly", **{key: value})

    assert (severity, code, line) == ("warning", "unused_key", 6)
    assert [each[1] for each in judged(**{key: value})] == ["unused_key"]
    both = [{"type": "cron", "schedule": "@hourly"}, {"type": "event", "event": "deployed"}]
    for keys in ({"trigger": "webhook"}, {"trigger": "deployed"}, {"triggers": both}):
        assert judged(**keys, **{key: value}) == []


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("webhok", '"webhook"'),
        ("Manual", '"manual"'),
        ("crn", '"cron"'),
        ("deploied", '"deployed"'),
        ("zzz", "the names of events"),
    ],
)
def test_a_plain_word_that_is_nothing_is_an_error_with_the_nearest(word: str, near: str) -> None:
    ((severity, code, line, hint),) = judged(trigger=word)

    assert (severity, code, line) == ("error", "unknown_trigger", 5)
    assert near in hint


def test_the_line_is_that_of_the_condition() -> None:
    listed = [{"type": "manual"}, {"type": "event", "event": "github.issues.opend"}]
    either = [{"event": "crm.x"}, {"event": "github.issues.opend"}]

    assert [each[2] for each in judged(triggers=listed)] == [11]
    assert [each[2] for each in judged(eventConditions=either)] == [9]


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"runAs": "adaa"}, 5),
        ({"run_as_user": "adaa"}, 5),
        ({"createdBy": "adaa"}, 5),
        ({"trigger": "crm.x", "actors": ["ada", "github:x", "slack:*", "adaa"]}, 6),
        ({"triggers": [{"type": "webhook", "actors": "member:adaa"}]}, 5),
    ],
)
def test_somebody_who_is_no_member_is_a_warning(keys: dict[str, Any], line: int) -> None:
    assert judged(**keys) == [("warning", "unknown_member", line, 'did you mean "ada"?')]


def test_a_stranger_in_two_keys_is_two_findings_that_say_where() -> None:
    said = findings(runAs="eve", createdBy="eve", trigger="webhook", actors=["eve"])

    assert [each.message for each in said] == [
        'runAs: "eve" is no member in identities.json',
        'createdBy: "eve" is no member in identities.json, so its starts are skipped',
        'actors: "eve" is no member in identities.json',
    ]


def test_without_a_file_of_members_nobody_is_looked_for() -> None:
    world = World(settings=WORLD.settings, agents={}, connections={}, environment=Environment())

    assert judged(world, runAs="bob", createdBy="eve", trigger="webhook", actors="mallory") == []


@pytest.mark.parametrize(
    ("event", "search"), [("crm.deal.won", "is_one_slip"), ("sales.deal.won", "nearest")]
)
def test_a_type_that_many_wait_for_is_looked_for_in_the_catalogue_once(
    event: str, search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = judged(trigger=event)

    def search_again(*_: object, **__: object) -> None:
        raise AssertionError(f"{event} was looked for again")

    monkeypatch.setattr(event_names, search, search_again)

    assert judged(trigger=event) == first
