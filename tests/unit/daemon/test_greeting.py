"""What `up` says: one line an automation, and what is wrong with which file."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from amodal_rt.daemon.greeting import MOST_PROBLEMS, greeting, upcoming
from amodal_rt.domain.automation import AgentWork, Automation, ChatMessage, Definition, Lifecycle
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.trigger import (
    CronTrigger,
    EventCondition,
    EventTrigger,
    ManualTrigger,
    Schedule,
    SignatureScheme,
    Trigger,
    WebhookAuth,
    WebhookTrigger,
)
from amodal_rt.domain.workspace import AutomationState, Snapshot, WorkspaceSettings
from amodal_rt.operations.automation_shapes import Standing
from amodal_rt.ports import AutomationFacts
from amodal_rt.settings import Environment

NOW = datetime(2026, 3, 1, 19, tzinfo=UTC)  # a Sunday
SIGNED = WebhookAuth(scheme=SignatureScheme.HMAC_SHA256, secrets=(SecretRef("KEY"),))


def standing(
    name: str,
    trigger: Trigger,
    *,
    next_run_at: datetime | None = None,
    url: str | None = None,
    problems: tuple[Problem, ...] = (),
    **keys: object,
) -> Standing:
    definition = Definition(
        automation=Automation(
            name=name,
            title=name,
            work=AgentWork(messages=(ChatMessage("user", "x"),)),
            triggers=(trigger,),
            **keys,  # pyright: ignore[reportArgumentType]
        ),
        hash="0",
        document="{}",
        file=f"automations/{name}.json",
    )
    state = AutomationState(
        name=name, file=definition.file, definition=definition, problems=problems,
        stale=bool(problems),
    )  # fmt: skip
    facts = AutomationFacts(name=name)
    return Standing(state=state, facts=facts, next_run_at=next_run_at, webhook_url=url)


def cron(expression: str, zone: str = "UTC") -> CronTrigger:
    return CronTrigger(schedule=Schedule(cron=expression, timezone=zone), key="k")


def lines(
    *standings: Standing,
    settings: WorkspaceSettings | None = None,
    variables: dict[str, str] | None = None,
    local_only: bool = True,
    integrations: Sequence[Mapping[str, object]] = (),
    dashboard: str | None = None,
) -> list[str]:
    snapshot = Snapshot(
        version=1,
        settings=settings or WorkspaceSettings(model=("local:small",)),
        automations={each.state.name: each.state for each in standings},
    )
    said = greeting(
        standings,
        snapshot,
        Environment(process=variables or {}),
        now=NOW,
        local_only=local_only,
        settings_file="workspace/amodal.json",
        integrations=[dict(each) for each in integrations],
        dashboard=dashboard,
    )
    return list(said)


def test_schedule_next_run_and_powers_stand_in_columns_that_no_url_widens() -> None:
    monday = datetime(2026, 3, 2, 9, tzinfo=UTC)
    url = "http://127.0.0.1:3847/webhooks/auto_x"

    said = lines(
        standing("daily-digest", cron("0 9 * * 1-5"), next_run_at=monday),
        standing("echo-hook", WebhookTrigger(), url=url),
        standing("signed", WebhookTrigger(auth=SIGNED), url=url, write_enabled=True),
        standing("by-hand", ManualTrigger(), status=Lifecycle.DRAFT),
    )

    assert said == [
        " daily-digest  cron 0 9 * * 1-5 UTC  next Mon 09:00 (in 14 h)  read-only",
        " echo-hook     webhook               " + url + "  local only, unsigned, read-only",
        " signed        webhook               " + url + "  local only, may write",
        " by-hand       manual" + " " * 42 + "draft, read-only",
    ]


def test_an_interval_is_no_cron() -> None:
    schedule = Schedule(every=timedelta(minutes=15))
    trigger = CronTrigger(schedule=schedule, key="k")

    (line,) = lines(standing("often", trigger, next_run_at=NOW + timedelta(seconds=90)))

    assert line == " often  every 15m  next Sun 19:01 (in 2 min)  read-only"


def test_without_a_model_the_rehearsal_is_explained_and_a_key_mentioned() -> None:
    said = lines(settings=WorkspaceSettings(), variables={"ANTHROPIC_API_KEY": "sk-planted"})

    assert said[0].startswith('no model configured: "rehearsal" serves')
    assert 'Set "model" in workspace/amodal.json' in said[0]
    assert "ANTHROPIC_API_KEY is set" in said[0]
    assert "sk-planted" not in said[0]


def test_nothing_is_said_of_the_rehearsal_where_an_automation_has_a_model() -> None:
    said = lines(
        standing("a", ManualTrigger(), models=("openai:gpt",)), settings=WorkspaceSettings()
    )

    assert len(said) == 1


def test_a_public_url_is_not_local() -> None:
    (line,) = lines(standing("hook", WebhookTrigger(), url="https://x"), local_only=False)

    assert line == " hook  webhook  https://x  unsigned, read-only"


def test_a_broken_file_is_named_with_its_line_and_its_old_version() -> None:
    wrong = Problem(file="automations/a.json", line=3, code="unknown_key", message="no \x1b[31mkey")

    said = lines(standing("a", cron("@daily"), problems=(wrong,)))

    assert "invalid: the last good version runs" in said[0]
    assert said[1] == "error: automations/a.json:3: no key"


def test_what_is_odd_about_a_graph_is_said_once_however_many_run_it() -> None:
    odd = Problem(file="workflows/e.json", line=1, code="unknown_event", message="nobody hears it")

    said = lines(*(standing(name, ManualTrigger(), problems=(odd,)) for name in "ab"))

    assert len([each for each in said if "nobody hears it" in each]) == 1


def test_a_flood_of_problems_is_cut() -> None:
    problems = tuple(Problem(file="a", code="x", message=str(n)) for n in range(MOST_PROBLEMS + 5))

    said = lines(standing("a", ManualTrigger(), problems=problems))

    assert said[-1] == "and 5 more problems: run amodal-rt validate"
    assert len(said) == MOST_PROBLEMS + 2


def test_an_empty_workspace_is_told_what_to_do() -> None:
    assert lines() == [" no automations yet: put a JSON file into automations/"]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (timedelta(seconds=20), "next Sun 19:00 (in 20 s)"),
        (timedelta(minutes=5), "next Sun 19:05 (in 5 min)"),
        (timedelta(hours=14), "next Mon 09:00 (in 14 h)"),
        (timedelta(days=3), "next Wed 19:00 (in 3 d)"),
        (timedelta(days=30), "next 2026-03-31 19:00 (in 30 d)"),
    ],
)
def test_how_long_it_is_until_then(after: timedelta, said: str) -> None:
    assert upcoming(NOW + after, NOW, "UTC") == said


def test_times_are_shown_on_the_schedule_s_own_clock() -> None:
    assert upcoming(NOW + timedelta(hours=1), NOW, "Asia/Tokyo") == "next Mon 05:00 (in 60 min)"


def test_an_integration_that_can_take_events_is_named_with_its_address() -> None:
    url = "http://127.0.0.1:3847/integrations/github/k3y"
    row = {
        "name": "github", "provider": "github", "state": "ready", "unset": ["NEW"], "url": url,
        "local_only": True,
    }  # fmt: skip

    said = lines(integrations=[row, {**row, "name": "slack", "state": "not set up"}])

    assert said == [f" github  integration github  {url}  local only"]


def test_many_unset_variables_are_told_in_one_line() -> None:
    files = [f"integrations/{name}.json" for name in ("github", "linear", "slack")]
    wrong = tuple(
        Problem(file=file, code="env_missing", message="the environment variable X is not set")
        for file in files
    )

    few = lines(standing("some", ManualTrigger(), problems=wrong[:2]))
    many = lines(standing("some", ManualTrigger(), problems=wrong))

    assert len(few) == 3
    assert len(many) == 2
    assert all(file in many[1] for file in files)


def test_of_many_events_the_first_is_named_and_the_others_are_counted() -> None:
    types = ("github.issues.opened", "github.pull_request.opened", "github.push")
    trigger = EventTrigger(conditions=tuple(EventCondition(event=each) for each in types), key="0")

    (said,) = lines(standing("triage", trigger))

    assert said.split("  ")[1] == "event github.issues.opened +2"


def test_the_last_line_says_where_the_dashboard_is() -> None:
    said = lines(standing("by-hand", ManualTrigger()), dashboard="http://127.0.0.1:3847")

    assert said[-1] == (
        "dashboard at http://127.0.0.1:3847/ (amodal-rt dashboard --open needs no token)"
    )
