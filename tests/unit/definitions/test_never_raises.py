"""Whatever a file holds, parsing answers with a definition or with problems in that file."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from amodal_rt.definitions.agent import parse_agent
from amodal_rt.definitions.automation import Parsed, parse_automation, reparse
from amodal_rt.definitions.connection import parse_connection
from amodal_rt.definitions.knowledge import parse_knowledge
from amodal_rt.definitions.settings import parse_settings
from amodal_rt.definitions.store import parse_store
from amodal_rt.domain.delivery import Target, TargetType
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.errors import InvalidError

SETTINGS = WorkspaceSettings(
    targets={"reports": Target(type=TargetType.CALLBACK, label="reports")},
    defaults={"timezone": "Europe/Berlin"},
)
FULL: dict[str, Any] = {
    "title": "Digest",
    "description": "What happened",
    "metadata": {"team": ["a", {"b": None}]},
    "lookupKey": "digest",
    "prompt": "Look. {{event}}",
    "triggers": [
        {"type": "cron", "schedule": {"every": "15m", "startAt": "2026-01-01T00:00:00Z"}},
        {"type": "cron", "schedule": "0 9 * * 1-5"},
        {"type": "webhook", "webhookAuth": {"type": "github", "secret": ["env:A", "env:B"]}},
    ],
    "model": ["openai:small", "ollama:tiny"],
    "temperature": 0.5,
    "connections": ["stripe"],
    "tools": ["stripe.*", "query_store"],
    "write_enabled": True,
    "delivery": {
        "targets": ["reports", {"type": "webhook", "url": "env:HOOK", "format": "slack"}],
        "template": "{{ result }}",
    },
    "failureAlert": {"after": 2, "cooldown_minutes": 5, "targets": ["reports"]},
    "limits": {"concurrency": 1, "onLimit": "queue", "writes": {"perRun": 1}},
    "catchUp": {"policy": "all", "within": "2h"},
    "retry": {"attempts": 1, "backoffSeconds": 5},
    "status": "draft",
}
MATTER = (
    "---\ntitle: Digest\nschedule: {cron: '0 9 * * *', timezone: UTC}\nlimits:\n  maxTurns: 3\n"
    "delivery: reports\nstatus: draft # for now\n---\nLook closely.\n\n---\n\nAnd again.\n"
)
LEGACY = (
    "# Automation: Brief\n\nSchedule: 0 7 * * *\n\n## Check\n\nLook closely.\n\n"
    "## Notes\n\nFor people.\n"
)
SEEDS = {
    "automations/full.json": json.dumps(FULL, indent=2),
    "automations/matter.md": MATTER,
    "automations/legacy.md": LEGACY,
}

scalars = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.text(max_size=20)
    | some.sampled_from(["", "env:", "env:X", "\ud800", "\0", "*", "reports", "0 9 * * *", "15m"])
)
values = some.recursive(
    scalars,
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.text(max_size=8) | some.sampled_from(sorted(FULL)), inner, max_size=3
        )
    ),
    max_leaves=6,
)
often = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _parse(text: bytes, file: str) -> Parsed:
    return parse_automation(text, file=file, settings=SETTINGS, read_prompt=_no_prompt)


def _no_prompt(path: str) -> str:
    raise InvalidError(f"there is no {path}", code="prompt_file")


def _judge(parsed: Parsed, text: bytes, file: str) -> None:
    """What every answer promises: a definition that can be kept, or an error with its place."""
    lines = text.count(b"\n") + 1
    for problem in parsed.problems:
        assert problem.file == file
        assert problem.code
        assert problem.line is None or 1 <= problem.line <= lines
        assert "\n" not in problem.sentence()
        problem.sentence().encode()
    if parsed.definition is None:
        assert any(problem.severity == "error" for problem in parsed.problems)
        return
    assert not any(problem.severity == "error" for problem in parsed.problems)
    document = parsed.definition.document
    document.encode()
    again = reparse(document, file=file, settings=SETTINGS).definition
    assert again is not None
    assert again.automation == parsed.definition.automation
    assert (again.document, again.hash) == (document, parsed.definition.hash)


@pytest.mark.parametrize("file", SEEDS)
def test_the_seeds_are_good_files(file: str) -> None:
    """Guards the tests below: mutations of a bad file would all be refused for its sake."""
    assert _parse(SEEDS[file].encode(), file).problems == ()


@pytest.mark.parametrize("file", SEEDS)
def test_every_beginning_of_a_file_is_answered(file: str) -> None:
    """As editors that write in place show it: half a file."""
    whole = SEEDS[file].encode()
    for length in range(len(whole)):
        text = whole[:length]
        _judge(_parse(text, file), text, file)


@often
@given(
    file=some.sampled_from(sorted(SEEDS)),
    cuts=some.lists(
        some.tuples(some.integers(0, 2_000), some.integers(0, 6), some.binary(max_size=6)),
        min_size=1,
        max_size=4,
    ),
)
def test_any_damage_to_a_file_is_answered(file: str, cuts: list[tuple[int, int, bytes]]) -> None:
    text = SEEDS[file].encode()
    for at, length, put in cuts:
        at %= len(text) + 1
        text = text[:at] + put + text[at + length :]
    _judge(_parse(text, file), text, file)


@often
@given(
    key=some.sampled_from([*sorted(FULL), "schedule", "trigger", "webhookAuth", "messages"]),
    value=values,
    alone=some.booleans(),
)
@example(key="messages", value=None, alone=False)
@example(key="model", value=None, alone=True)
@example(key="trigger", value="\0", alone=True)
def test_any_value_of_any_key_is_answered(key: str, value: object, alone: bool) -> None:
    rest = {"title": "T", "prompt": "P"} if alone else FULL
    text = json.dumps({**rest, key: value}).encode()
    _judge(_parse(text, "automations/any.json"), text, "automations/any.json")


@often
@given(
    key=some.sampled_from(["title", "schedule", "delivery", "metadata", "limits"]),
    value=some.text(max_size=30)
    | some.sampled_from(['"\\ud800"', '"a\\0b"', "!!binary x", "&a [*a]", "? x", "0o9", "1e999"]),
)
@example(key="title", value='"\\ud800"')
@example(key="title", value='"a\\0b"')
@example(key="schedule", value="{cron: &0 9, more: {cron: &0 9}}")
def test_any_scalar_of_front_matter_is_answered(key: str, value: str) -> None:
    text = _bytes(f"---\n{'' if key == 'title' else 'title: T'}\n{key}: {value}\n---\nLook.\n")
    _judge(_parse(text, "automations/any.md"), text, "automations/any.md")


@often
@given(value=values | some.dictionaries(some.sampled_from(["schema", "ttl"]), values))
@example(value={"model": None})
def test_other_files_are_answered_too(value: object) -> None:
    text = json.dumps(value).encode()

    assert _answered(*parse_settings(text, "amodal.json"))
    assert _answered(*parse_store(text, file="stores/s.json"))
    assert _answered(*parse_connection("c", {"spec.json": text}))
    runtime = b'{"protocol": "runtime"}'
    assert _answered(*parse_connection("c", {"spec.json": runtime, "access.json": text}))


@often
@given(text=some.binary(max_size=60) | some.text(max_size=60).map(_bytes))
def test_any_bytes_of_other_files_are_answered(text: bytes) -> None:
    assert _answered(*parse_agent(text, file="agents/a.md"))
    assert _answered(*parse_agent(b"---\n" + text + b"\n---\nx\n", file="agents/a.md"))
    assert _answered(*parse_knowledge(text, file="knowledge/k.md"))
    assert _answered(*parse_settings(text, "amodal.json"))


def _answered(value: object, problems: tuple[Any, ...]) -> bool:
    return (value is not None) or any(problem.severity == "error" for problem in problems)
