"""What runs by template, the keys of events and the gate, as files spell them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from definition_samples import (
    SETTINGS,
    automation,
    definition,
    parse,
    session_of,
    without_prompt,
)

from amodal_rt.definitions.automation import reparse
from amodal_rt.definitions.schema import automation_schema
from amodal_rt.domain.automation import AgentWork, CoalesceRule, Gate, GateRead
from amodal_rt.domain.filter import All, Rule, Test

NEW = Rule(("action",), Test.EQ, ("opened",))


def test_a_template_is_what_runs_and_its_instructions_go_with_it() -> None:
    found = without_prompt(inputTemplate="Look at {{ payload.id }}.", instructions="Be brief.")

    assert found.work == AgentWork(
        messages=(), template="Look at {{ payload.id }}.", instructions="Be brief."
    )


@pytest.mark.parametrize(
    ("when", "gate"),
    [
        ({"action": "opened"}, Gate(filter=NEW)),
        ({"op": "eq", "path": ["action"], "value": "opened"}, Gate(filter=NEW)),
        (
            {"connection": "crm", "endpoint": "/status", "changed": True},
            Gate(read=GateRead(connection="crm", endpoint="/status"), changed=True),
        ),
        (
            {
                "connection": "crm",
                "endpoint": "/deals",
                "query": {"limit": 1, "open": True},
                "path": "data.0.id",
                "filter": {"a": 1, "b": {"exists": True}},
            },
            Gate(
                read=GateRead(
                    connection="crm",
                    endpoint="/deals",
                    query={"limit": "1", "open": "true"},
                    path=("data", "0", "id"),
                ),
                filter=All((Rule(("a",), Test.EQ, (1,)), Rule(("b",), Test.EXISTS))),
            ),
        ),
        (
            {"connection": "db", "tool": "count", "arguments": {"t": ["x"]}, "path": ["n.n"],
             "changed": True},
            Gate(
                read=GateRead(
                    connection="db", tool="count", arguments={"t": ["x"]}, path=("n.n",)
                ),
                changed=True,
            ),
        ),
        (None, None),
    ],
)  # fmt: skip
def test_a_gate_is_a_filter_or_a_read(when: Any, gate: Gate | None) -> None:
    assert automation(when=when).gate == gate


@pytest.mark.parametrize(
    "when",
    [
        {"changed": False},
        {"changed": {"eq": True}},
        {"changed": "yes", "path": "/x"},
        {"changed": True, "issue.state": "open"},
        {"op": "eq", "path": ["changed"], "value": True},
        {"endpoint": {"starts_with": "/api"}, "path": "a"},
        {"endpoint": "/api", "method": "GET"},
        {"endpoint": "/api", "collection": "deals"},
        {"connections": 3, "changed": True},
        {"query": {"contains": "sale"}, "filter": {"exists": True}},
    ],
)
def test_a_filter_may_have_keys_that_a_read_has_too(when: Any) -> None:
    gate = automation(when=when).gate

    assert gate is not None
    assert gate.read is None
    assert gate.filter is not None


@pytest.mark.parametrize(
    ("when", "hint"),
    [
        ({"severity": "high"}, "data.severity"),
        ({"data.changes": 1, "status": {"neq": "failed"}}, "data.status"),
        ({"op": "not", "filter": {"op": "exists", "path": ["error", "code"]}}, "data.error.code"),
        ({"op": "or", "filters": [{"data.a": 1}, {"result.a": 1}]}, "data.a"),
    ],
)
def test_what_a_filter_over_the_result_could_never_find_is_refused(when: Any, hint: str) -> None:
    text = json.dumps({"title": "T", "prompt": "x", "delivery": {"targets": ["r"], "when": when}})

    found = parse(text).problems[0]

    assert (found.code, found.hint) == ("bad_filter", f'did you mean "{hint}"?')
    assert "delivery.when" in found.message


def test_keys_are_kept_as_they_stand_and_coalescing_has_a_longest_wait() -> None:
    found = automation(
        conversationKey="{{ payload.thread }}",
        idempotency_key="{{ event.id }}",
        coalesce={"key": "{{ payload.id }}", "window": "30s"},
    )

    assert (found.conversation_key, found.idempotency_key) == (
        "{{ payload.thread }}",
        "{{ event.id }}",
    )
    assert found.coalesce == CoalesceRule(
        key="{{ payload.id }}", window=timedelta(seconds=30), longest=timedelta(minutes=5)
    )
    waits = automation(coalesce={"key": "k", "window": "30s", "maxWait": "1m"}).coalesce
    assert waits is not None
    assert waits.longest == timedelta(minutes=1)


def test_a_delivery_may_be_held_back_by_a_filter_over_the_result() -> None:
    delivery = automation(delivery={"targets": ["reports"], "when": {"data.action": "opened"}})

    assert delivery.delivery is not None
    assert delivery.delivery.when == Rule(("data", "action"), Test.EQ, ("opened",))


def _text(keys: dict[str, Any]) -> str:
    lines = ",\n ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in keys.items())
    return '{"title": "T",\n ' + lines + "}"


@pytest.mark.parametrize(
    ("keys", "code", "says", "key"),
    [
        ({"inputTemplate": "{{ payload.id"}, "bad_template", "inputTemplate: ", "inputTemplate"),
        ({"inputTemplate": "{{ payload.id | upcse }}"}, "bad_template", "filter upcse",
         "inputTemplate"),
        ({"inputTemplate": "{{ issue.id }}"}, "bad_template", "no name issue", "inputTemplate"),
        ({"inputTemplate": "{{ $.id }}"}, "bad_template", "unexpected", "inputTemplate"),
        ({"inputTemplate": "{% render 'x' %}"}, "bad_template", "render", "inputTemplate"),
        ({"inputTemplate": "one\n{{ payload.id }}\n{% if %}"}, "bad_template", "line 3",
         "inputTemplate"),
        ({"inputTemplate": "x", "prompt": "y"}, "one_of", "twice what runs", "inputTemplate"),
        ({"inputTemplate": ""}, "empty", "inputTemplate must not be empty", "inputTemplate"),
        ({"prompt": "x", "instructions": "y"}, "conflict", "instructions go", "instructions"),
        ({"inputTemplate": "x", "instructions": "{{ y }}"}, "bad_template", "no name y",
         "instructions"),
        ({"prompt": "x", "conversationKey": "{{ id }}"}, "bad_template", "no name id",
         "conversationKey"),
        ({"prompt": "x", "idempotencyKey": "{{ now }}"}, "bad_template", "no name now",
         "idempotencyKey"),
        ({"prompt": "x", "idempotencyKey": 7}, "wrong_type", "idempotencyKey", "idempotencyKey"),
        ({"prompt": "x", "coalesce": {"window": "1s"}}, "missing_key", "coalesce.key", "coalesce"),
        ({"prompt": "x", "coalesce": {"key": "{{", "window": "1s"}}, "bad_template",
         "coalesce.key", "key"),
        ({"prompt": "x", "coalesce": {"key": "k", "window": "9s", "maxWait": "1s"}},
         "bad_coalesce", "shorter than window", "maxWait"),
        ({"prompt": "x", "coalesce": {"key": "k", "window": "2d"}}, "bad_coalesce", "a day",
         "coalesce"),
        ({"prompt": "x", "when": {}}, "bad_filter", "at least one thing", "when"),
        ({"prompt": "x", "when": "always"}, "bad_filter", "must be an object", "when"),
        ({"prompt": "x", "when": {"a": {"equals": 1}}}, "bad_filter", "equals", "when"),
        ({"prompt": "x", "when": {"endpoint": "/a", "changed": True}}, "missing_key",
         "the connection", "when"),
        ({"prompt": "x", "when": {"changed": True}}, "missing_key", "when: changed belongs",
         "when"),
        ({"prompt": "x", "when": {"path": "data.id", "changed": True}}, "missing_key",
         "when: changed belongs", "when"),
        ({"prompt": "x", "when": {"filter": {"issue.draft": False}}}, "missing_key",
         "when: filter belongs", "when"),
        ({"prompt": "x", "when": {"query": {"page": 1}, "path": "0.id"}}, "missing_key",
         "when: query belongs", "when"),
        ({"prompt": "x", "when": {"tool": "count", "arguments": {}}}, "missing_key",
         "when: tool belongs", "when"),
        ({"prompt": "x", "when": {"conection": "crm", "endpoint": "/a", "changed": True}},
         "unknown_key", "conection", "when"),
        ({"prompt": "x", "when": {"connection": "crm"}}, "one_of", "endpoint, tool", "when"),
        ({"prompt": "x", "when": {"connection": "crm", "endpoint": "/a", "tool": "b"}}, "one_of",
         "exactly one", "when"),
        ({"prompt": "x", "when": {"connection": "crm", "endpoint": "/a"}}, "bad_when",
         "asks nothing", "when"),
        ({"prompt": "x", "when": {"connection": "crm", "endpoint": "a", "changed": True}},
         "bad_when", "no path", "endpoint"),
        ({"prompt": "x", "when": {"connection": "c", "tool": "a", "query": {}, "changed": True}},
         "conflict", "when.query belongs to endpoint", "query"),
        ({"prompt": "x", "when": {"connection": "crm", "method": "POST", "endpoint": "/a"}},
         "unknown_key", "method", "method"),
        ({"prompt": "x", "when": {"connection": "c", "endpoint": "/a", "changed": True,
                                  "query": {"key": "env:KEY"}}}, "env_not_here", "query", "key"),
        ({"prompt": "x", "when": {"connection": "c", "tool": "a", "changed": True,
                                  "arguments": {"name": "env:KEY"}}}, "env_not_here", "arguments",
         "name"),
        ({"prompt": "x", "when": {"connection": "c", "endpoint": "/a", "path": [], "filter": {}}},
         "bad_path", "when.path", "path"),
        ({"prompt": "x", "connections": ["mail"],
          "when": {"connection": "crm", "endpoint": "/a", "changed": True}},
         "not_granted", '"crm", which is not granted', "connection"),
        ({"prompt": "x", "delivery": {"targets": ["reports"], "when": {}}}, "bad_filter",
         "delivery.when", "when"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(
    keys: dict[str, Any], code: str, says: str, key: str
) -> None:
    text = _text(keys)
    before = text[: text.index(f'"{key}":')]

    found = parse(text).problems[0]

    assert (found.code, found.line) == (code, before.count("\n") + 1), found
    assert found.column == len(before) - before.rfind("\n")
    assert says in found.message


def test_a_version_that_was_kept_reads_the_same() -> None:
    text = json.dumps(
        {
            "title": "T",
            "inputTemplate": "{{ payload.id }}",
            "conversationKey": "{{ payload.id }}",
            "when": {"connection": "crm", "endpoint": "/a", "path": "b.c", "changed": True},
        }
    )
    first = parse(text).definition
    assert first is not None

    again = reparse(first.document, file=first.file, settings=SETTINGS).definition

    assert again is not None
    assert again.automation == first.automation


def test_editors_are_told_of_both_forms_of_a_gate() -> None:
    schema: Any = automation_schema()

    either = schema["$defs"]["GateShape"]["anyOf"]

    assert [("properties" in each) for each in either] == [False, True]
    assert "x-not-yet" not in json.dumps(schema["properties"]["inputTemplate"])


def test_a_markdown_file_says_once_what_runs() -> None:
    text = '---\ntitle: T\ninputTemplate: "{{ payload.id }}"\n---\nLook.\n'

    assert parse(text, file="automations/a.md").problems[0].code == "one_of"
    bare = definition(text.replace("Look.\n", ""), file="automations/a.md").automation
    assert session_of(bare).template == "{{ payload.id }}"
