"""Triggers go into files and out of them, in every form that files have."""

import json
from typing import Any

import pytest

from amodal_rt.definitions.trigger_edit import with_trigger, without_trigger
from amodal_rt.errors import ConflictError, InvalidError

FILE = "automations/x.json"
CRON = {"type": "cron", "schedule": "0 9 * * *"}
EVENT = {"type": "event", "event": "deploy.finished", "params": {"env": "prod"}}


def added(there: dict[str, Any], entry: dict[str, Any]) -> Any:
    text = json.dumps({"title": "X", "prompt": "y", **there}).encode()
    found = json.loads(with_trigger(text, FILE, entry))
    return {key: each for key, each in found.items() if key not in ("title", "prompt")}


@pytest.mark.parametrize(
    ("there", "entry", "after"),
    [
        ({}, CRON, {"schedule": "0 9 * * *"}),
        ({}, EVENT, {"trigger": "deploy.finished", "params": {"env": "prod"}}),
        ({}, {"type": "webhook"}, {"trigger": "webhook"}),
        (
            {},
            {**EVENT, "connection": "notes"},
            {"triggers": [{**EVENT, "connection": "notes"}]},
        ),
        (
            {"schedule": "@daily"},
            CRON,
            {"triggers": [{"type": "cron", "schedule": "@daily"}, CRON]},
        ),
        (
            {"trigger": "github.*", "filter": {"action": "opened"}, "actors": ["slack:*"]},
            CRON,
            {
                "triggers": [
                    {
                        "type": "event",
                        "event": "github.*",
                        "filter": {"action": "opened"},
                        "actors": ["slack:*"],
                    },
                    CRON,
                ]
            },
        ),
        (
            {"webhook_auth": {"type": "github", "secret": "env:S"}},
            EVENT,
            {
                "triggers": [
                    {"type": "webhook", "webhookAuth": {"type": "github", "secret": "env:S"}},
                    EVENT,
                ]
            },
        ),
        (
            {"eventConditions": [{"event": "a.b"}, {"event": "a.c", "params": {"n": 1}}]},
            CRON,
            {
                "triggers": [
                    {"type": "event", "event": "a.b"},
                    {"type": "event", "event": "a.c", "params": {"n": 1}},
                    CRON,
                ]
            },
        ),
        ({"trigger": "manual"}, CRON, {"triggers": [{"type": "manual"}, CRON]}),
        ({"triggers": [EVENT]}, CRON, {"triggers": [EVENT, CRON]}),
    ],
)
def test_a_trigger_is_added_to_what_is_there(there: Any, entry: Any, after: Any) -> None:
    assert added(there, entry) == after


def test_what_is_not_about_triggers_stays_as_it_was() -> None:
    text = b'{\n  "title" : "X",   "prompt": "y",\n  "schedule": "@daily"\n}\n'

    found = with_trigger(text, FILE, EVENT).decode()

    assert found.startswith('{\n  "title" : "X",   "prompt": "y"')
    assert found.endswith("\n}\n")


def test_front_matter_takes_triggers_too() -> None:
    text = b"---\ntitle: X # mine\nschedule: '@daily'\n---\n\nLook.\n"

    found = with_trigger(text, "automations/x.md", EVENT)
    back = without_trigger(found, "automations/x.md", 1, of=2)

    assert b"title: X # mine" in found
    assert b"schedule: '@daily'" not in found
    assert b"deploy.finished" in found
    assert b"deploy.finished" not in back
    assert back.endswith(b"---\n\nLook.\n")


def test_a_trigger_is_taken_out() -> None:
    listed = json.dumps({"title": "X", "triggers": [CRON, EVENT]}).encode()
    short = json.dumps({"title": "X", "schedule": "@daily", "trigger": "cron"}).encode()

    one = json.loads(without_trigger(listed, FILE, 0, of=2))
    none = json.loads(without_trigger(json.dumps(one).encode(), FILE, 0, of=1))

    assert one == {"title": "X", "triggers": [EVENT]}
    assert none == {"title": "X"}
    assert json.loads(without_trigger(short, FILE, 0, of=1)) == {"title": "X"}


@pytest.mark.parametrize(
    ("there", "of"), [({"triggers": [CRON]}, 2), ({"schedule": "@daily"}, 2), ({}, 2)]
)
def test_what_was_changed_meanwhile_is_left_alone(there: dict[str, Any], of: int) -> None:
    with pytest.raises(ConflictError) as caught:
        without_trigger(json.dumps({"title": "X", **there}).encode(), FILE, 0, of=of)

    assert caught.value.code == "changed"


def test_what_cannot_be_read_is_not_written() -> None:
    with pytest.raises(InvalidError):
        with_trigger(b"{", FILE, CRON)
    with pytest.raises(ConflictError) as caught:
        with_trigger(b"# Look\n\nSchedule: 0 9 * * *\n\n## Check\n\nx\n", "automations/x.md", CRON)

    assert caught.value.code == "legacy_markdown"
