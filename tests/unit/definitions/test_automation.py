"""Every key of an automation file becomes what the domain says it is."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from definition_samples import (
    REPORTS,
    SETTINGS,
    WITH_DEFAULTS,
    automation,
    definition,
    parse,
    session_of,
    without_prompt,
)

from amodal_rt.definitions.automation import fit_stem
from amodal_rt.domain.automation import (
    CatchUp,
    CatchUpPolicy,
    ChatMessage,
    Lifecycle,
    Limits,
    OnLimit,
    Retry,
    WriteLimits,
)
from amodal_rt.domain.delivery import Delivery, FailureAlert, Target, TargetType
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.trigger import (
    CronTrigger,
    ManualTrigger,
    Schedule,
    SignatureScheme,
    Trigger,
    WebhookAuth,
    WebhookTrigger,
)


def test_the_shortest_file_has_the_documented_defaults() -> None:
    found = automation()

    assert (found.name, found.title) == ("sample", "Sample")
    assert session_of(found).messages == (ChatMessage("user", "Look."),)
    assert found.triggers == (ManualTrigger(),)
    assert (found.timezone, found.agent, found.models) == ("UTC", "main", ())
    assert (found.temperature, found.connections, found.tools) == (None, None, None)
    assert (found.write_enabled, found.delivery, found.failure_alert) == (False, None, None)
    assert found.limits == Limits()
    assert found.limits.timeout == timedelta(seconds=300)
    assert found.catch_up == CatchUp(policy=CatchUpPolicy.LAST, within=timedelta(hours=24))
    assert found.retry == Retry(attempts=0, backoff=timedelta(seconds=30), after_writes=False)
    assert found.status is Lifecycle.ACTIVE


@pytest.mark.parametrize(
    ("keys", "field", "value"),
    [
        ({"description": "D"}, "description", "D"),
        ({"metadata": {"a": [1, None]}}, "metadata", {"a": [1, None]}),
        ({"lookupKey": "a-b_1"}, "lookup_key", "a-b_1"),
        ({"timezone": "Asia/Tokyo"}, "timezone", "Asia/Tokyo"),
        ({"agent": "reviewer"}, "agent", "reviewer"),
        ({"model": "fast"}, "models", ("fast",)),
        ({"model": ["a:b", "c:d"]}, "models", ("a:b", "c:d")),
        ({"temperature": 0}, "temperature", 0),
        ({"connections": []}, "connections", ()),
        ({"connections": ["crm", "mail"]}, "connections", ("crm", "mail")),
        ({"tools": ["crm.*", "query_store", "*"]}, "tools", ("crm.*", "query_store", "*")),
        ({"tools": ["emit_event"]}, "tools", ("emit_event",)),
        ({"writeEnabled": True}, "write_enabled", True),
        ({"write_enabled": True}, "write_enabled", True),
        ({"status": "draft"}, "status", Lifecycle.DRAFT),
        ({"status": "paused"}, "status", Lifecycle.PAUSED),
        ({"retry": {"attempts": 2, "backoffSeconds": 5, "afterWrites": True}}, "retry",
         Retry(attempts=2, backoff=timedelta(seconds=5), after_writes=True)),
        ({"catchUp": {"policy": "none", "within": "2h"}}, "catch_up",
         CatchUp(policy=CatchUpPolicy.NONE, within=timedelta(hours=2))),
        ({"catch_up": {"policy": "all"}}, "catch_up", CatchUp(policy=CatchUpPolicy.ALL)),
        ({"$schema": "./x.json", "runAs": None, "model": None, "messages": None}, "models", ()),
    ],
)  # fmt: skip
def test_a_key_is_read(keys: dict[str, Any], field: str, value: object) -> None:
    assert getattr(automation(**keys), field) == value


def test_the_name_is_another_word_for_the_title_and_is_put_on_one_line() -> None:
    found = definition(json.dumps({"name": " Daily\n Digest ", "prompt": "x"}))

    assert found.automation.title == "Daily Digest"


def test_limits_are_read_in_both_spellings() -> None:
    limits = {"concurrency": 1, "onLimit": "queue", "timeout_seconds": 9, "max_turns": 2,
              "maxTokens": 7, "startsPerHour": 4, "webhookBytes": 10, "writes": {"perRun": 0},
              }  # fmt: skip

    assert automation(limits=limits).limits == Limits(
        concurrency=1, on_limit=OnLimit.QUEUE, timeout=timedelta(seconds=9), max_turns=2,
        max_tokens=7, starts_per_hour=4, webhook_bytes=10, writes=WriteLimits(per_run=0),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "messages"),
    [
        ({"prompt": "x {{event}}"}, [("user", "x {{event}}")]),
        ({"messages": "x"}, [("user", "x")]),
        ({"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]},
         [("system", "s"), ("user", "u")]),
        ({"promptFile": "prompts/long.md"}, [("user", "Look at everything.\n")]),
        ({"prompt_file": "prompts/long.md"}, [("user", "Look at everything.\n")]),
        ({"prompt": "x", "messages": None, "promptFile": None}, [("user", "x")]),
    ],
)  # fmt: skip
def test_what_runs(keys: dict[str, Any], messages: list[tuple[str, str]]) -> None:
    assert session_of(without_prompt(**keys)).messages == tuple(
        ChatMessage(*each) for each in messages
    )


def _cron(key: str = "0", **schedule: Any) -> CronTrigger:
    return CronTrigger(schedule=Schedule(**schedule), key=key)


AUTH = WebhookAuth(scheme=SignatureScheme.HMAC_SHA256, secrets=(SecretRef("S"),))


@pytest.mark.parametrize(
    ("keys", "triggers"),
    [
        ({"schedule": " 0  9 * * 1-5 "}, (_cron(cron="0 9 * * 1-5"),)),
        ({"schedule": "@daily", "trigger": "cron"}, (_cron(cron="@daily"),)),
        ({"schedule": {"every": "90m"}}, (_cron(every=timedelta(minutes=90)),)),
        ({"trigger": "webhook"}, (WebhookTrigger(),)),
        ({"trigger": "manual"}, (ManualTrigger(),)),
        ({"webhookAuth": {"type": "hmac-sha256", "secret": "env:S"}}, (WebhookTrigger(auth=AUTH),)),
        ({"triggers": [{"type": "cron", "schedule": "@daily"}, {"type": "webhook"},
                       {"type": "cron", "schedule": {"every": "1h"}}, {"type": "manual"}]},
         (_cron(cron="@daily"), WebhookTrigger(), _cron("2", every=timedelta(hours=1)),
          ManualTrigger())),
        ({"triggers": [{"type": "webhook", "webhook_auth": {"type": "hmac-sha256",
                                                            "secret": "env:S"}}]},
         (WebhookTrigger(auth=AUTH),)),
    ],
)  # fmt: skip
def test_what_starts_it(keys: dict[str, Any], triggers: tuple[Trigger, ...]) -> None:
    assert automation(**keys).triggers == triggers


def test_the_zone_of_a_schedule_wins_over_the_zone_of_the_file() -> None:
    own = {"cron": "0 9 * * *", "timezone": "Asia/Tokyo"}

    assert automation(schedule="0 9 * * *", timezone="Europe/Berlin").crons[
        0
    ].schedule.timezone == ("Europe/Berlin")
    assert automation(schedule=own, timezone="Europe/Berlin").crons[0].schedule.timezone == (
        "Asia/Tokyo"
    )
    listed = automation(timezone="Europe/Berlin", triggers=[{"type": "cron", "schedule": "@daily"}])
    assert listed.crons[0].schedule.timezone == "Europe/Berlin"


def test_times_without_an_offset_are_wall_clock_times_of_the_zone() -> None:
    schedule = {
        "every": "1h",
        "startAt": "2026-07-01T09:00:00",
        "endAt": "2026-12-01T09:00:00Z",
        "timezone": "Europe/Berlin",
    }

    found = automation(schedule=schedule).crons[0].schedule

    assert found.start_at == datetime(2026, 7, 1, 7, tzinfo=UTC)
    assert found.end_at == datetime(2026, 12, 1, 9, tzinfo=UTC)
    at = automation(schedule={"at": "2026-01-05T09:00"}, timezone="Asia/Tokyo").crons[0].schedule.at
    assert at == datetime(2026, 1, 5, tzinfo=UTC)


def test_a_github_endpoint_with_rotating_secrets() -> None:
    found = definition(
        webhookAuth={"type": "github", "secret": ["env:NEW", "env:OLD"], "dedupeHeader": "X-Id"}
    )

    assert found.automation.webhook == WebhookTrigger(
        auth=WebhookAuth(
            scheme=SignatureScheme.GITHUB,
            secrets=(SecretRef("NEW"), SecretRef("OLD")),
            dedupe_header="X-Id",
        )
    )
    assert found.secrets == ("NEW", "OLD")


@pytest.mark.parametrize(
    ("delivery", "expected"),
    [
        ("reports", Delivery(targets=(REPORTS,))),
        ({"targets": ["reports"], "template": "{{ result }}"},
         Delivery(targets=(REPORTS,), template="{{ result }}")),
        ({"targets": [{"type": "webhook", "url": "https://h.example/planted", "secret": "env:K"}]},
         Delivery(targets=(Target(type=TargetType.WEBHOOK, label="h.example",
                                  url="https://h.example/planted", secret=SecretRef("K")),))),
        ({"targets": [{"type": "webhook", "url": "env:U", "label": "#x"}]},
         Delivery(targets=(Target(type=TargetType.WEBHOOK, label="#x", url=SecretRef("U")),))),
        ({"targets": [{"type": "callback"}]},
         Delivery(targets=(Target(type=TargetType.CALLBACK, label="callback"),))),
        ({"targets": [{"type": "callback", "name": "n"}]},
         Delivery(targets=(Target(type=TargetType.CALLBACK, label="callback n", name="n"),))),
    ],
)  # fmt: skip
def test_where_the_result_goes(delivery: Any, expected: Delivery) -> None:
    assert automation(delivery=delivery).delivery == expected


def test_an_alert_is_after_one_failure_and_quiet_for_an_hour_unless_it_says_otherwise() -> None:
    short = automation(failureAlert="reports").failure_alert
    long = automation(
        failure_alert={"after": 3, "cooldown_minutes": 0, "targets": "reports"}
    ).failure_alert

    assert short == FailureAlert(targets=(REPORTS,), after=1, cooldown=timedelta(minutes=60))
    assert long == FailureAlert(targets=(REPORTS,), after=3, cooldown=timedelta(0))


def test_every_variable_that_it_needs_is_named_once() -> None:
    found = definition(
        webhookAuth={"type": "github", "secret": "env:HOOK"},
        delivery={"targets": ["reports", {"type": "webhook", "url": "env:OWN"}]},
        failureAlert="oncall",
    )

    assert found.secrets == ("HOOK", "OWN", "PAGER_SECRET", "REPORTS_URL")


def test_defaults_stand_in_for_keys_that_the_file_has_not() -> None:
    found = definition(using=WITH_DEFAULTS, schedule="0 9 * * *").automation

    assert found.crons[0].schedule.timezone == "Europe/Berlin"
    assert found.delivery == Delivery(targets=(REPORTS,))
    assert found.failure_alert
    assert found.failure_alert.after == 2
    assert (found.limits.max_turns, found.limits.concurrency) == (7, 1)


def test_a_key_of_the_file_replaces_the_whole_default_in_either_spelling() -> None:
    found = definition(
        using=WITH_DEFAULTS,
        limits={"maxTurns": 9},
        failure_alert={"targets": ["reports"]},
        delivery=None,
    ).automation

    assert (found.limits.max_turns, found.limits.concurrency) == (9, 3)
    assert found.failure_alert == FailureAlert(targets=(REPORTS,))
    assert found.delivery is None


def test_a_default_that_makes_a_file_wrong_is_named_as_such() -> None:
    using = replace(SETTINGS, defaults={"delivery": "gone", "temperature": 9})

    problems = parse('{"title": "T", "prompt": "x"}', using=using).problems

    assert [each.message for each in problems] == [
        '"defaults" of amodal.json: temperature must be at most 2, not 9'
    ]
    using = replace(SETTINGS, defaults={"delivery": "gone"})
    (problem,) = parse('{"title": "T", "prompt": "x"}', using=using).problems
    assert problem.message == '"defaults" of amodal.json: no target is called "gone"'
    assert (problem.line, problem.column) == (None, None)


@pytest.mark.parametrize(
    ("text", "stem"),
    [("Daily Digest", "daily-digest"), ("a.b", "a-b"), ("__x", "x"), ("ü", "automation"),
     ("x" * 80, "x" * 64), ("A_b", "a_b")],
)  # fmt: skip
def test_the_nearest_name(text: str, stem: str) -> None:
    assert fit_stem(text) == stem


def test_a_thousand_files_take_less_than_a_second() -> None:
    """A generous bound on processor time; a fast machine needs a tenth of it."""
    texts = [
        json.dumps(
            {
                "title": f"Automation {number}",
                "schedule": f"{number % 60} {number % 24} * * 1-5",
                "timezone": "Europe/Berlin",
                "prompt": f"Number {number}. " + "Look at it closely. " * 35,
                "delivery": {"targets": [{"type": "webhook", "url": "env:REPORTS"}]},
                "limits": {"timeoutSeconds": 120},
            },
            indent=2,
        )
        for number in range(1_000)
    ]
    started = time.process_time()

    for number, text in enumerate(texts):
        assert parse(text, file=f"automations/a{number}.json").definition

    assert time.process_time() - started < 1
