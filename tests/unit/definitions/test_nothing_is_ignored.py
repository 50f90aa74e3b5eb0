"""What a file says either counts or is an error: no key, rule or word is passed over."""

import json
from typing import Any

import jsonschema
import pytest
from definition_samples import parse

from amodal_rt.definitions.connection import parse_connection
from amodal_rt.definitions.schema import settings_schema
from amodal_rt.definitions.settings import parse_settings
from amodal_rt.definitions.store import parse_store
from amodal_rt.domain.problem import Problem

REST = {"protocol": "rest", "baseUrl": "https://api.example"}
STDIO = {"protocol": "mcp", "transport": "stdio", "command": "server"}
HTTP = {"protocol": "mcp", "transport": "http", "url": "https://mcp.example"}


def _file(**keys: Any) -> str:
    return json.dumps({"title": "Sample", "prompt": "Look.", **keys}, indent=1)


def _connection(spec: object, **beside: object) -> tuple[Problem, ...]:
    files = {"spec.json": json.dumps(spec).encode()}
    files |= {name.replace("_", "."): json.dumps(each).encode() for name, each in beside.items()}
    return parse_connection("sample", files)[1]


def test_an_empty_trigger_is_no_trigger() -> None:
    parsed = parse(_file(trigger=""))

    assert parsed.definition is None
    assert parsed.problems[0].line == 4


@pytest.mark.parametrize("template", ["{{ result", "{% if result %}x", "{% no_such_tag %}"])
def test_a_template_that_cannot_be_read_is_refused_at_once(template: str) -> None:
    """Else the first to know would be the receiver of the first result."""
    target = {"type": "callback"}

    parsed = parse(_file(delivery={"targets": [target], "template": template}))

    assert parsed.definition is None
    assert parsed.problems[0].code == "bad_template"
    assert parsed.problems[0].line == 10


def test_a_template_that_can_be_read_is_kept() -> None:
    template = "{{ automation }}: {% if data %}{{ data.total | round: 2 }}{% endif %} {{ result }}"

    parsed = parse(_file(delivery={"targets": [{"type": "callback"}], "template": template}))

    assert parsed.problems == ()


@pytest.mark.parametrize(
    ("content", "file"),
    [
        ('{"title": "a\\u0000b", "prompt": "Look."}', "automations/sample.json"),
        ('{"title": "T", "prompt": "Look\\u0000."}', "automations/sample.json"),
        ('---\ntitle: "a\\0b"\n---\nLook.\n', "automations/sample.md"),
    ],
)
def test_a_nul_character_is_refused_in_every_spelling(content: str, file: str) -> None:
    """Databases and terminals end a text there."""
    parsed = parse(content, file=file)

    assert parsed.definition is None
    assert parsed.problems[0].line is not None


@pytest.mark.parametrize(
    "keys",
    [
        {"title": "env:NAME"},
        {"description": "env:NAME"},
        {"agent": "env:NAME"},
        {"model": ["env:NAME"]},
        {"delivery": {"targets": [{"type": "callback", "label": "env:NAME"}]}},
    ],
)
def test_a_variable_is_refused_where_nothing_would_resolve_it(keys: dict[str, Any]) -> None:
    parsed = parse(_file(**keys))

    assert [each.code for each in parsed.problems] == ["env_not_here"]


def test_a_variable_among_the_arguments_of_a_program_is_refused() -> None:
    """Every user of the machine can read them; `env` is for that."""
    problems = _connection({**STDIO, "args": ["--key", "env:KEY"]})

    assert [(each.code, each.severity) for each in problems] == [("env_not_here", "error")]


@pytest.mark.parametrize("key", ["at", "startAt", "endAt"])
def test_a_time_that_the_clocks_never_show_is_refused(key: str) -> None:
    """2026-03-29, 02:00 to 03:00, does not exist in Berlin; it does in UTC and on other days."""
    rest: dict[str, Any] = {} if key == "at" else {"every": "1h"}

    def codes(time: str) -> list[str]:
        schedule = {**rest, key: time, "timezone": "Europe/Berlin"}
        return [each.code for each in parse(_file(schedule=schedule)).problems]

    assert codes("2026-03-29T02:30") == ["bad_time"]
    assert codes("2026-03-29T02:30Z") == codes("2026-03-30T02:30") == []
    assert codes("2026-03-29T03:00") == codes("2026-10-25T02:30") == []


def test_one_schedule_cannot_stand_twice() -> None:
    daily = {"type": "cron", "schedule": "0 9 * * *"}
    other = {"type": "cron", "schedule": {"cron": "0 9 * * *", "timezone": "Asia/Tokyo"}}

    assert parse(_file(triggers=[daily, other])).problems == ()
    assert [each.code for each in parse(_file(triggers=[daily, other, daily])).problems] == [
        "conflict"
    ]


def test_a_status_of_another_system_is_translated() -> None:
    parsed = parse(_file(status="running"))

    assert "active" in (parsed.problems[0].hint or "")


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ({**REST, "auth": {"type": "none", "token": "env:KEY"}}, "token"),
        ({**REST, "auth": {"type": "bearer", "token": "env:K", "parameter": "key"}}, "parameter"),
        ({**STDIO, "headers": {"X-Key": "env:KEY"}}, "headers"),
        ({**HTTP, "env": {"KEY": "env:KEY"}}, "env"),
        ({**HTTP, "args": ["-v"]}, "args"),
    ],
)
def test_a_connection_takes_no_key_that_would_have_no_effect(
    spec: dict[str, Any], key: str
) -> None:
    problems = _connection(spec)

    assert [each.severity for each in problems] == ["error"]
    assert key in problems[0].message


@pytest.mark.parametrize(
    "rule", ["POST /search?q=1", "GET /items/{id", "GET /items/id}", "GET /items/{}"]
)
def test_an_endpoint_rule_that_could_never_match_is_refused(rule: str) -> None:
    problems = _connection(REST, access_json={"endpoints": {rule: {"intent": "read"}}})

    assert [each.code for each in problems] == ["bad_endpoint"]


@pytest.mark.parametrize(
    "schema", [{"$ref": "#/$defs/x"}, {"$schema": "http://json-schema.org/draft-07/schema#"}]
)
def test_a_store_schema_that_could_not_judge_a_value_is_refused(schema: object) -> None:
    store, problems = parse_store(json.dumps({"schema": schema}).encode(), file="stores/s.json")

    assert store is None
    assert [each.code for each in problems] == ["bad_schema"]


def test_the_settings_schema_takes_what_the_settings_take() -> None:
    document = {
        "model": "local:small",
        "models": {"fast": "local:small", "smart": ["anthropic:claude-sonnet", "local:small"]},
        "defaults": {"delivery": "reports", "failureAlert": {"after": 2, "targets": ["reports"]}},
        "targets": {"reports": {"type": "webhook", "url": "env:REPORTS"}},
    }

    assert parse_settings(json.dumps(document).encode(), "amodal.json")[1] == ()
    jsonschema.Draft202012Validator(settings_schema()).validate(document)
