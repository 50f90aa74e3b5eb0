"""One file of `events/`: what others send, as the workspace knows it."""

import json

import pytest

from amodal_rt.definitions.event_type import parse_event_type
from amodal_rt.domain.event_type import EventOrigin, EventType
from amodal_rt.domain.problem import Problem

SCHEMA = {
    "type": "object",
    "properties": {"service": {"type": "string"}, "ok": {"$ref": "#/$defs/flag"}},
    "required": ["service"],
    "$defs": {"flag": {"type": "boolean"}},
}
SAMPLE = {"service": "api", "ok": False}


def _parse(content: object, stem: str = "deploy.finished") -> EventType:
    found, problems = parse_event_type(json.dumps(content).encode(), file=f"events/{stem}.json")
    assert problems == ()
    assert found is not None
    return found


def _refused(content: object, stem: str = "deploy.finished") -> Problem:
    text = content if isinstance(content, str) else json.dumps(content)
    found, problems = parse_event_type(text.encode(), file=f"events/{stem}.json")
    assert found is None
    return problems[0]


def test_the_stem_names_the_type() -> None:
    found = _parse({"description": "A deployment ended.", "schema": SCHEMA, "sample": SAMPLE})

    assert found.name == "deploy.finished"
    assert (found.origin, found.source) == (
        EventOrigin.WORKSPACE,
        "events/deploy.finished.json",
    )
    assert (found.schema, found.sample) == (SCHEMA, SAMPLE)


def test_type_wins_over_the_stem_and_schema_and_sample_may_be_absent() -> None:
    found = _parse({"type": "deploy.begun", "description": "It began."}, "anything at all")

    assert (found.name, found.schema, found.sample) == ("deploy.begun", {}, None)


def test_a_name_needs_no_dot() -> None:
    assert _parse({"description": "A deployment ended."}, "deployed").name == "deployed"


@pytest.mark.parametrize(
    ("content", "code", "says"),
    [
        ("[]", "wrong_type", "object"),
        ({}, "missing_key", "description"),
        ({"description": " "}, "empty", "empty"),
        ({"description": "x", "sampel": 1}, "unknown_key", "sampel"),
        ({"description": "x", "type": "Deploy Done"}, "wrong_value", "name of an event"),
        ({"description": "x", "type": "deploy.*"}, "wrong_value", "name of an event"),
        ({"description": "x", "type": "a." * 80 + "b"}, "wrong_value", "name of an event"),
        ({"description": "x", "schema": {"type": "objekt"}}, "bad_schema", "JSON Schema"),
        ({"description": "x", "schema": {"$ref": "https://x.example/s"}}, "bad_schema", "inside"),
        ({"description": "x", "schema": {"$ref": "#/$defs/none"}}, "bad_schema", "nowhere"),
        ({"description": "x", "schema": SCHEMA, "sample": {}}, "bad_sample", "service"),
        ({"description": "x", "schema": SCHEMA, "sample": None}, "bad_sample", "object"),
        ({"description": "x", "schema": {"$ref": "#"}, "sample": 1}, "bad_sample", "without end"),
    ],
)
def test_what_is_wrong_is_named(content: object, code: str, says: str) -> None:
    problem = _refused(content)

    assert problem.code == code
    assert says in problem.message
    assert "\n" not in problem.message


def test_a_wrong_sample_is_pointed_at() -> None:
    text = json.dumps({"description": "x", "schema": SCHEMA, "sample": {"service": 7}}, indent=1)

    problem = _refused(text)

    assert text.splitlines()[(problem.line or 0) - 1].strip() == '"service": 7'


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("github.issues.opened", "the provider github"),
        ("slack.anything", "the provider slack"),
        ("automation.run.failed", "this runtime"),
        ("connector.mine", "this runtime"),
        ("webhook.received", "this runtime"),
        ("thread.created", "the documented platform"),
        ("webhook", "kind of trigger"),
        ("cron", "kind of trigger"),
    ],
)
def test_nobody_takes_a_name_that_is_anothers_word(name: str, says: str) -> None:
    """What a provider signs and what the runtime says must not be told from what anybody posts."""
    for problem in (
        _refused({"description": "x"}, name),
        _refused({"description": "x", "type": name}, "mine"),
    ):
        assert problem.code == "reserved_name"
        assert says in problem.message


def test_a_stem_that_is_no_name_asks_for_one() -> None:
    problem = _refused({"description": "x"}, "Deploy Done")

    assert problem.code == "wrong_value"
    assert "type" in (problem.hint or "")
