"""`amodal.json`: what it may say, and what is told of what it may not."""

import json
from datetime import timedelta
from typing import Any

import pytest

from amodal_rt.definitions.settings import parse_settings
from amodal_rt.domain.delivery import Target, TargetType
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workspace import (
    Provider,
    ProviderType,
    WorkspaceAlerts,
    WorkspaceLimits,
    WorkspaceSettings,
)


def _parse(**keys: Any) -> WorkspaceSettings:
    found, problems = parse_settings(json.dumps(keys).encode(), "amodal.json")
    assert problems == ()
    assert found is not None
    return found


def _refused(text: str) -> Problem:
    found, problems = parse_settings(text.encode(), "amodal.json")
    assert found is None
    assert problems[0].severity == "error"
    return problems[0]


def test_an_empty_object_means_all_defaults() -> None:
    assert _parse() == WorkspaceSettings()


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("name", "acme", "name", "acme"),
        ("model", "local:small", "model", ("local:small",)),
        ("model", ["a:b", "fast"], "model", ("a:b", "fast")),
        ("models", {"fast": "a:b", "smart": ["c:d", "a:b"]}, "models",
         {"fast": ("a:b",), "smart": ("c:d", "a:b")}),
        ("providers", {"local": {"type": "openai-compatible", "baseUrl": "http://127.0.0.1/v1",
                                 "api_key": "env:K"}}, "providers",
         {"local": Provider(name="local", type=ProviderType.OPENAI_COMPATIBLE,
                            base_url="http://127.0.0.1/v1", api_key=SecretRef("K"))}),
        ("targets", {"r": {"type": "webhook", "url": "env:U"}}, "targets",
         {"r": Target(type=TargetType.WEBHOOK, label="r", url=SecretRef("U"))}),
        ("targets", {"r": {"type": "callback", "label": "L"}}, "targets",
         {"r": Target(type=TargetType.CALLBACK, label="L")}),
        ("listen", "[::1]:0", "listen", "[::1]:0"),
        ("public_url", "https://h.example/", "public_url", "https://h.example"),
        ("limits", {"concurrency": 2, "queue": 5, "start_within": "5m"}, "limits",
         WorkspaceLimits(concurrency=2, queue=5, start_within=timedelta(minutes=5))),
        ("limits", {"history": "365d"}, "limits", WorkspaceLimits(history=timedelta(days=365))),
        ("egress", {"allowPrivate": ["10.0.0.0/8", "::1"]}, "allow_private", ("10.0.0.0/8", "::1")),
        ("defaults", {"catch_up": {"policy": "none"}, "agent": "a"}, "defaults",
         {"catchUp": {"policy": "none"}, "agent": "a"}),
        ("database", "env:DATABASE_URL", "database", SecretRef("DATABASE_URL")),
        ("database", None, "database", None),
        ("adminListen", None, "listen", "127.0.0.1:3847"),
        ("alerts", {}, "alerts", WorkspaceAlerts()),
        ("alerts", {"targets": [{"type": "callback"}], "heartbeatUrl": "env:BEAT"}, "alerts",
         WorkspaceAlerts(targets=(Target(type=TargetType.CALLBACK, label="callback"),),
                         heartbeat_url=SecretRef("BEAT"))),
        ("alerts", {"heartbeat_url": "https://hc.example/1"}, "alerts",
         WorkspaceAlerts(heartbeat_url="https://hc.example/1")),
    ],
)  # fmt: skip
def test_a_key_is_read(key: str, value: object, field: str, expected: object) -> None:
    assert getattr(_parse(**{key: value}), field) == expected


@pytest.mark.parametrize(
    ("text", "code", "line", "says", "hint"),
    [
        ('{"modle": "x"}', "unknown_key", 1, '"modle"', '"model"'),
        ('{"alerts":\n{"targets": ["gone"]}}', "unknown_target", 2, '"gone"', "amodal.json"),
        ('{"alerts": {"heartbeatURL": "env:H"}}', "unknown_key", 1, "alerts", '"heartbeatUrl"'),
        ('{"alerts":\n{"heartbeatUrl": "h.example"}}', "bad_url", 2, "http", "https://"),
        ('{\n"database": "sqlite:///x"}', "bad_database", 2, "PostgreSQL", "env:DATABASE_URL"),
        ('{\n"adminListen": "3848"}', "bad_listen", 2, "HOST:PORT", "127.0.0.1:3847"),
        ('{"api":\n{"mayGrantPower": true}}', "unknown_key", 2, "api", '"mayGrantPowers"'),
        ('{\n"api": {"mayGrantPowers": "yes"}}', "wrong_type", 2, "mayGrantPowers", ""),
        ('{"limits": {"concurrency": 0}}', "wrong_value", 1, "limits.concurrency", ""),
        ('{"listen": "3847"}', "bad_listen", 1, "HOST:PORT", "127.0.0.1:3847"),
        ('{"listen": "h:99999"}', "bad_listen", 1, "HOST:PORT", ""),
        ('{"publicUrl": "env:U"}', "env_not_here", 1, "publicUrl", "the URL itself"),
        ('{"publicUrl": "ftp://x"}', "bad_url", 1, "http", ""),
        ('{"egress": {"allowPrivate": ["10.0.0.1/8"]}}', "bad_network", 1, "10.0.0.1/8", "/bits"),
        ('{"providers": {"a": {"type": "openia"}}}', "wrong_value", 1, "providers.a.type",
         '"openai"'),
        ('{"providers": {"a": {"type": "openai", "apikey": "x"}}}', "unknown_key", 1,
         "providers.a", '"apiKey"'),
        ('{"models": {"fast": []}}', "wrong_value", 1, "models.fast must not be empty", ""),
        ('{"model": null, "models": 5}', "wrong_type", 1, "models must be an object", ""),
        ('{"targets": {"r": {"type": "webhook"}}}', "missing_key", 1, "needs a url", ""),
        ('{"targets": {"r": "s"}}', "wrong_type", 1, "written out", '"webhook"'),
        ('{"targets": {"r": {"type": "webhook", "ulr": "env:U"}}}', "unknown_key", 1,
         "targets.r", '"url"'),
        ('{"targets":\n{"r": {"type": "webhook", "url": "env:U",\n"secret": "planted"}}}',
         "secret_in_file", 3, "does not belong", ".env"),
        ('{"defaults":\n{"prompt": "x"}}', "unknown_key", 2, '"prompt" in defaults', None),
        ('{"defaults":\n{"failureAlrt": {}}}', "unknown_key", 2, "failureAlrt", '"failureAlert"'),
        ('{"defaults":\n{"limits": {"maxTurns": 0}}}', "wrong_value", 2,
         "defaults.limits.maxTurns must be at least 1", ""),
        ('{"defaults":\n{"timezone": "Mars"}}', "bad_zone", 2, "defaults.timezone", ""),
        ('{"defaults":\n{"delivery": "gone"}}', "unknown_target", 2, '"gone"', "amodal.json"),
        ('{"defaults": {"failure_alert":\n{"targets": ["gone"]}}}', "unknown_target", 2, '"gone"',
         ""),
        ("[]", "wrong_type", 1, "a list, not an object", ""),
        ('{"a": 1,}', "bad_json", 1, "comma", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(
    text: str, code: str, line: int, says: str, hint: str | None
) -> None:
    problem = _refused(text)

    assert (problem.code, problem.line) == (code, line)
    assert says in problem.message
    assert (hint or "") in (problem.hint or "")
    assert "planted" not in problem.sentence()


def test_a_database_written_into_the_file_is_a_warning() -> None:
    text = '{"database": "postgresql://ada:planted@db/amodal"}'

    found, (problem,) = parse_settings(text.encode(), "amodal.json")

    assert found is not None
    assert (problem.code, problem.severity) == ("secret_in_file", "warning")
    assert "planted" not in problem.sentence()


def test_a_key_written_into_the_file_is_a_warning() -> None:
    text = '{"providers": {"a": {"type": "openai",\n "apiKey": "planted"}}}'

    found, (problem,) = parse_settings(text.encode(), "amodal.json")

    assert found
    assert (problem.severity, problem.code, problem.line) == ("warning", "secret_in_file", 2)
    assert "planted" not in problem.sentence()


def test_history_is_not_shorter_than_deliveries_are_recognised() -> None:
    problem = _refused('{"limits": {"history": "6d"}}')

    assert problem.code == "bad_history"
    assert _parse(limits={"history": "7d"}).limits.history == timedelta(days=7)
