"""The published schemas accept what the parser accepts, and refuse unknown keys as it does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from definition_samples import SETTINGS_TEXT, parse
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from wrong_files import LATER, NOT_YET, WRONG

from amodal_rt.definitions.convert import convert
from amodal_rt.definitions.schema import automation_schema, settings_schema, workflow_schema
from amodal_rt.definitions.settings import parse_settings

SCHEMA: dict[str, Any] = automation_schema()
PROPERTIES: dict[str, Any] = SCHEMA["properties"]
AUTOMATION = Draft202012Validator(SCHEMA)
SETTINGS = Draft202012Validator(settings_schema())
EXAMPLE = Path(__file__).parents[3] / "automations.example"


@pytest.mark.parametrize("schema", [automation_schema(), settings_schema(), workflow_schema()])
def test_each_is_a_schema_of_2020_12(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("path", sorted(EXAMPLE.glob("automations/*")), ids=lambda path: path.name)
def test_every_automation_of_the_example_fits(path: Path) -> None:
    AUTOMATION.validate(json.loads(convert(path.read_bytes(), str(path))))


def test_the_settings_of_the_example_and_of_the_specification_fit() -> None:
    SETTINGS.validate(json.loads((EXAMPLE / "amodal.json").read_text()))
    full = {
        "name": "acme",
        "model": "local:small",
        "models": {"fast": "local:small", "smart": ["anthropic:large", "local:small"]},
        "providers": {
            "local": {"type": "openai-compatible", "baseUrl": "http://127.0.0.1:1/v1",
                      "apiKey": "env:LOCAL_KEY"}
        },
        **json.loads(SETTINGS_TEXT),
        "defaults": {"timezone": "Europe/Berlin", "failure_alert": {"targets": ["reports"]}},
        "listen": "127.0.0.1:3847",
        "adminListen": None,
        "publicUrl": "https://hooks.acme.example",
        "limits": {"concurrency": 10, "queue": 10_000, "startWithin": "1h"},
        "egress": {"allowPrivate": ["127.0.0.0/8"]},
    }  # fmt: skip

    SETTINGS.validate(full)
    assert parse_settings(json.dumps(full).encode(), "amodal.json")[1] == ()
    for wrong in ({"modle": "x"}, {"limits": {"x": 1}}, {"defaults": {"prompt": "x"}},
                  {"providers": {"a": {"type": "openai", "key": "x"}}}):  # fmt: skip
        assert not SETTINGS.is_valid(wrong)
        assert parse_settings(json.dumps(wrong).encode(), "amodal.json")[0] is None


RIGHT: list[dict[str, Any]] = [
    {"schedule": "0 9 * * 1-5", "delivery": {"targets": [{"type": "webhook", "url": "env:HOOK"}]}},
    {"schedule": {"cron": "@daily", "timezone": "Europe/Berlin", "startAt": "2026-01-01"}},
    {"schedule": {"every": "15m", "end_at": "2027-01-01T00:00:00Z"}},
    {"trigger": "webhook", "webhookAuth": {"type": "hmac-sha256", "secret": "env:S",
                                           "header": "X-Hub-Signature-256"}},
    {"trigger": "webhook", "webhook_auth": {"type": "github", "secret": ["env:A", "env:B"]}},
    {"triggers": [{"type": "cron", "schedule": "@hourly"}, {"type": "webhook"}]},
    {"delivery": "reports", "failureAlert": "oncall"},
    {"delivery": {"targets": "reports"}, "failure_alert": {"after": 2, "cooldownMinutes": 15,
                                                           "targets": ["reports"]}},
    {"delivery": {"targets": ["reports", {"type": "callback", "name": "n"}], "template": "x"}},
    {"delivery": None, "model": None, "runAs": None, "metadata": {"any": [{"thing": 1}]}},
    {"model": "fast"}, {"model": ["a:b", "c:d"]}, {"writeEnabled": False}, {"write_enabled": True},
    {"limits": {"concurrency": 1, "timeout_seconds": 5, "writes": {"per_run": 1}}},
    {"catchUp": {"policy": "none"}},
    {"trigger": "github.push", "actors": "github:ada"},
    {"eventConditions": [{"event": "a.b", "actors": "ada", "payload_filter": {"a": 1}}]},
    {"when": {"connection": "c", "endpoint": "/x", "changed": True, "path": ["a"],
              "query": {"per_page": 1, "open": True, "q": "x"}}},
    {"when": {"a.b": {"in": [1]}}},
]  # fmt: skip


@pytest.mark.parametrize("keys", RIGHT)
def test_what_the_parser_reads_fits(keys: dict[str, Any]) -> None:
    value = {"$schema": "./automation.schema.json", "title": "T", "prompt": "x", **keys}

    AUTOMATION.validate(value)
    assert parse(json.dumps(value)).definition


@pytest.mark.parametrize("messages", ["x", [{"role": "user", "content": "x"}]])
def test_messages_and_the_other_word_for_the_title_fit(messages: object) -> None:
    value: dict[str, Any] = {"name": "T", "messages": messages}

    AUTOMATION.validate(value)
    del value["name"]
    assert not AUTOMATION.is_valid(value)


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for each in schema.values():
            yield from _objects(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _objects(each)


@pytest.mark.parametrize("schema", [automation_schema(), settings_schema(), workflow_schema()])
def test_every_object_is_closed_and_every_key_is_described(schema: dict[str, Any]) -> None:
    undescribed: list[str] = []
    for each in _objects(schema):
        assert each["additionalProperties"] is False
        for key, value in each["properties"].items():
            referred = schema["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
            if not (value.get("description") or referred.get("description")):
                undescribed.append(key)

    assert undescribed == []
    assert "\0" not in json.dumps(schema)
    assert "\\u0000" not in json.dumps(schema)


def test_keys_of_later_are_marked() -> None:
    marked = {key for key, value in PROPERTIES.items() if value.get("x-not-yet")}

    assert set(LATER) <= marked
    assert marked.isdisjoint({"prompt", "schedule", "writeEnabled", "limits", "delivery"})
    assert len(NOT_YET) > len(LATER)


def test_unknown_keys_and_wrong_types_of_the_table_are_refused_here_too() -> None:
    """What a schema cannot say, as that two keys contradict, is the parser's alone."""
    values = {
        name: json.loads(wrong.content)
        for name, wrong in WRONG.items()
        if wrong.code in ("unknown_key", "wrong_type") and wrong.content.startswith(b"{")
    }

    assert len(values) > 30
    accepted = {name for name, value in values.items() if AUTOMATION.is_valid(value)}
    assert accepted == {"key: 1.0 as number"}, "JSON Schema calls 1.0 a whole number"


KEYS = st.sampled_from([*PROPERTIES, "titel", "shedule"])
INNER = st.sampled_from(
    ["targets", "type", "url", "cron", "every", "at", "after", "maxTurns", "on_limit", "secret",
     "policy", "attempts", "role", "content", "x"]
)  # fmt: skip
SCALARS = st.sampled_from(
    [None, True, 0, 1, -1, 2.5, 10**12, "", " ", "x", "15m", "webhook", "skip", "active", "user",
     "env:X", "https://x.example", "@daily", "UTC", "reports", "2026-01-01"]
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(INNER, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
def test_what_the_schema_refuses_the_parser_refuses(keys: dict[str, Any]) -> None:
    value = {"title": "T", "prompt": "x", **keys}
    if not AUTOMATION.is_valid(value):
        assert parse(json.dumps(value)).definition is None


NODES: list[dict[str, Any]] = [
    {"kind": "WorkflowTrigger", "trigger": "order.created", "on_success": "a"},
    {"kind": "agent", "prompt": "x", "model": "fast", "onError": "a"},
    {"kind": "http_request", "connection": "shop", "endpoint": "/x", "params": {"a": 1}},
    {"kind": "condition", "expression": "1", "on_true": "a", "onFalse": "b"},
    {"kind": "transform", "value": None, "retry": {"attempts": 1}, "timeoutSeconds": 5},
    {"kind": "approval", "message": "Sure?", "expires": "2d"},
]


def test_the_schema_of_graphs_takes_their_nodes_and_no_others() -> None:
    schema = Draft202012Validator(workflow_schema())
    graph = {"kind": "WorkflowGraph", "version": 1, "start_node": "n0"}
    nodes = [{**node, "id": f"n{place}"} for place, node in enumerate(NODES)]
    schema.validate({**graph, "nodes": nodes, "data": [{"id": "x", "script": "1"}]})
    for wrong in (
        [],
        [{"kind": "transform", "value": 1}],
        [{"kind": "transfrom", "id": "a", "value": 1}],
        [{"kind": "transform", "id": "a", "value": 1, "on_sucess": "b"}],
        [{"kind": "script", "id": "a"}],
    ):
        assert not schema.is_valid({**graph, "nodes": wrong})
