"""Agents, stores and knowledge pages as the domain has them."""

import json
from datetime import timedelta
from typing import Any

import pytest

from amodal_rt.definitions.agent import parse_agent
from amodal_rt.definitions.knowledge import parse_knowledge
from amodal_rt.definitions.store import parse_store
from amodal_rt.domain.connection import Agent, Store


def _agent(text: str) -> Agent:
    found, problems = parse_agent(text.encode(), file="agents/reviewer.md")
    assert problems == ()
    assert found is not None
    return found


def test_an_agent_with_front_matter() -> None:
    found = _agent(
        "---\ndescription: d\nmodel: fast\ntemperature: 0.2\ntools: [crm.*]\nconnections: []\n"
        "max_turns: 9\n---\r\n\r\nBe brief.\r\n\r\n---\r\nAlways.\r\n"
    )

    assert (found.name, found.models, found.temperature) == ("reviewer", ("fast",), 0.2)
    assert (found.tools, found.connections, found.max_turns) == (("crm.*",), (), 9)
    assert found.instructions == "Be brief.\n\n---\nAlways."


def test_an_agent_without_front_matter_is_all_instructions() -> None:
    found = _agent("# Reviewer\n\nBe brief.\n")

    assert found.instructions == "# Reviewer\n\nBe brief."
    assert (found.models, found.temperature, found.tools, found.connections) == (
        (),
        None,
        None,
        None,
    )
    assert found.hash != _agent("Be brief.").hash


@pytest.mark.parametrize(
    ("text", "code", "line", "says"),
    [
        ("---\nmodle: x\n---\nx", "unknown_key", 2, '"modle"'),
        ("---\nmaxTurns: 0\n---\nx", "wrong_value", 2, "maxTurns must be at least 1"),
        ("---\ntemperature: hot\n---\nx", "wrong_type", 2, "a number"),
        ("---\nmodel: []\n---\nx", "wrong_value", 2, "model must not be empty"),
        ("---\nmodel: x\n", "bad_yaml", 1, "not closed"),
        ("", "empty_file", None, "empty"),
    ],
)
def test_what_is_wrong_with_an_agent(text: str, code: str, line: int | None, says: str) -> None:
    found, (problem,) = parse_agent(text.encode(), file="agents/a.md")

    assert found is None
    assert (problem.code, problem.line) == (code, line)
    assert says in problem.message


def _store(**keys: Any) -> Store:
    found, problems = parse_store(json.dumps(keys).encode(), file="stores/seen.json")
    assert problems == ()
    assert found is not None
    return found


def test_a_store() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": True}}

    found = _store(**{"$schema": "x", "description": "d", "schema": schema, "ttl": "30d"})

    assert (found.name, found.description, found.schema) == ("seen", "d", schema)
    assert found.ttl == timedelta(days=30)
    assert _store(schema={}).ttl is None


@pytest.mark.parametrize(
    ("text", "code", "line", "says"),
    [
        ('{"description": "d"}', "missing_key", 1, "schema is missing"),
        ('{"schema": []}', "wrong_type", 1, "schema must be an object"),
        ('{"schema": {},\n"tll": "1d"}', "unknown_key", 2, '"tll"'),
        ('{"schema": {\n"type": "objekt"}}', "bad_schema", 2, "not JSON Schema"),
        ('{"schema": {"a":\n{"$ref": "https://x.example/s"}}}', "bad_schema", 2, "references"),
        ('{"schema": {},\n"ttl": "soon"}', "bad_duration", 2, "soon"),
    ],
)
def test_what_is_wrong_with_a_store(text: str, code: str, line: int, says: str) -> None:
    found, problems = parse_store(text.encode(), file="stores/seen.json")

    assert found is None
    assert (problems[0].code, problems[0].line) == (code, line)
    assert says in problems[0].message


@pytest.mark.parametrize(
    ("text", "title"),
    [("# Run Book\n\nx", "Run Book"), ("x\n\n## Later\n", "Later"), ("x", "runbook"),
     ("#\n\n# Real\n", "Real"), ("```\n# code\n```\n# Real\n", "Real"), ("\ufeff# B\n", "B")],
)  # fmt: skip
def test_a_page_is_called_by_its_first_heading_else_by_its_name(text: str, title: str) -> None:
    found, problems = parse_knowledge(text.encode(), file="knowledge/runbook.md")

    assert problems == ()
    assert found
    assert (found.name, found.title) == ("runbook", title)
    assert found.text == text.removeprefix("\ufeff")


def test_a_page_that_is_no_text_is_refused() -> None:
    assert parse_knowledge(b"\xff", file="knowledge/x.md")[1][0].code == "not_utf8"
