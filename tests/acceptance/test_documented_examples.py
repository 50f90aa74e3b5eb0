"""The automations of the documentation, in other words and, where they lie near, unchanged."""

import hashlib
import hmac
import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import shapes
from brains import by_prompt
from installed import ROOT
from outside import Site
from stage import GITHUB_PUSH, HOOK_SECRET, PAGERDUTY_EVENT, Stage
from stub_model import Chat, Model, Refuse, Say
from waiting import eventually

UNCHANGED = ROOT.parent / "shared" / "examples"


@pytest.fixture(scope="module")
def ours(shared_site: Site, shared_model: Model) -> Iterator[Stage]:
    with Stage(shared_site, shared_model) as stage:
        _write_our_own(stage)
        shared_model.brain = by_prompt
        shared_site.up()
        yield stage


def _target(room: str) -> dict[str, str]:
    return {"type": "webhook", "url": f"env:SLACK_WEBHOOK_{room}"}


def _write_our_own(stage: Stage) -> None:
    files = stage.files
    files.automation(
        "revenue-digest",
        schedule="30 8 * * 1-5",
        prompt="Add up what came in through Stripe and what QuickBooks invoiced, by region.",
        delivery={"targets": [_target("REVENUE")]},
    )
    files.automation(
        "incident-responder",
        trigger="webhook",
        prompt="PagerDuty opened an incident. Look into it and rate how bad it is.",
        delivery={"targets": [_target("INCIDENTS")]},
        failureAlert={"after": 2, "cooldownMinutes": 15, "targets": [_target("ONCALL")]},
    )
    files.automation(
        "drift-detector",
        schedule="15 5 * * 2",
        prompt="Look for API drift and keep each finding in the drift_history store.",
        delivery={"targets": [_target("API_CHANGES")]},
    )
    files.automation(
        "push-reader",
        trigger="webhook",
        prompt="In a sentence: who pushed what?\n\nEvent: {{event}}",
        webhookAuth={
            "type": "hmac-sha256", "secret": "env:GITHUB_WEBHOOK_SECRET",
            "header": "X-Hub-Signature-256",
        },
    )  # fmt: skip
    files.write(
        "automations/sales-note.md",
        "# Automation: Sales Note\n\nSchedule: 45 6 * * *\n\n## Check\n\n"
        "Collect the open deals from the CRM.\nSay what was won and lost.\n",
    )


def _check_revenue(stage: Stage, name: str) -> None:
    stage.model.requests.clear()
    run = stage.site.ask("automations", "trigger", name, "--wait")
    told = eventually(lambda: stage.said("REVENUE"), "the digest arrives")[-1]

    assert run["status"] == "completed", run
    assert run["result"]["text"] == "*Revenue*: NA $1250, EMEA $500, APAC $250; invoiced $362.07"
    assert run["model"] == "stub:scripted"
    assert run["usage"]["turns"] == 2
    assert run["usage"]["input_tokens"] > 0
    assert told["text"] == told["result"] == run["result"]["text"]
    # What the services answered may be a stranger's words.
    assert told.keys() == shapes.MESSAGE | {"tainted"}
    assert (told["automation"], told["status"], told["truncated"]) == (name, "success", False)
    assert told["run_id"] == run["run_id"]
    assert re.fullmatch(shapes.INSTANT, told["timestamp"])
    shown = eventually(
        lambda: [
            each
            for each in stage.site.ask("runs", "show", run["run_id"])["deliveries"]
            if each["status"] == "delivered"
        ],
        "the delivery is on record",
    )
    assert shown[0].keys() == shapes.RUN_DELIVERY
    assert shown[0]["attempts"] == 1
    assert not any(service.writes for service in stage.services.values())


def _check_incident(stage: Stage, name: str) -> None:
    before = len(stage.said("INCIDENTS"))
    answer = stage.report(name, PAGERDUTY_EVENT, {"webhook-id": f"{name}-{before}"})
    run = stage.site.finished(answer.json()["run_id"])
    told = eventually(lambda: stage.said("INCIDENTS")[before:], "the findings arrive")[0]

    assert answer.status == 202
    assert run["status"] == "completed", run
    assert told["text"].startswith("SEV2 checkout: 5xx above 4 %, 41.5, a84d88e, pool exhausted")
    for service in ("pagerduty", "datadog", "github"):
        assert stage.services[service].requests, service
        assert not stage.services[service].writes
    query = stage.services["datadog"].requests[-1].query
    assert query["query"] == "sum:http.5xx{service:checkout}"


def _check_alerts(stage: Stage, name: str) -> None:
    """Two failures in a row alert once; the next success says that it works again."""
    before = len(stage.said("ONCALL"))
    stage.model.brain = lambda _: Refuse(400, "no such model")
    runs = []
    for number in range(3):
        answer = stage.report(name, PAGERDUTY_EVENT | {"again": number}, {})
        runs.append(stage.site.finished(answer.json()["run_id"]))
    alert = eventually(lambda: stage.said("ONCALL")[before:], "the alert arrives")[0]
    stage.model.brain = by_prompt
    answer = stage.report(name, PAGERDUTY_EVENT | {"again": "well"}, {})
    stage.site.finished(answer.json()["run_id"])
    eventually(lambda: len(stage.said("ONCALL")) > before + 1, "the recovery arrives")
    notices = stage.said("ONCALL")[before:]

    assert {run["status"] for run in runs} == {"failed"}
    assert alert.keys() == shapes.ALERT
    assert (alert["automation"], alert["status"]) == (name, "failure")
    assert (alert["run_id"], alert["consecutive_failures"]) == (runs[1]["run_id"], 2)
    assert alert["reason"] == "error"
    assert alert["error"]
    assert [each["status"] for each in notices] == ["failure", "recovered"]


def _check_drift(stage: Stage, name: str) -> None:
    before = len(stage.said("API_CHANGES"))
    run = stage.site.ask("automations", "trigger", name, "--wait")
    told = eventually(lambda: stage.said("API_CHANGES")[before:], "the summary arrives")[0]
    stored = stage.site.ask("stores", "show", "drift_history")

    assert run["status"] == "completed", run
    assert told["text"] == "1 additive change: livemode"
    assert stored[0]["key"] == "stripe@2026-01-05"
    assert stored[0]["value"]["change"] == "livemode"
    assert "store.written" in [each["type"] for each in stage.site.journal(run["run_id"])]


def _check_push(stage: Stage, name: str) -> None:
    body = json.dumps(GITHUB_PUSH).encode()
    proof = "sha256=" + hmac.new(HOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": proof, "X-GitHub-Event": "push", "X-GitHub-Delivery": name}
    answer = stage.report(name, GITHUB_PUSH, headers)
    forged = stage.report(name, GITHUB_PUSH | {"ref": "refs/heads/evil"}, headers)
    run = stage.site.finished(answer.json()["run_id"])

    assert answer.status == 202
    assert forged.status == 401
    assert run["result"]["text"] == "octocat pushed 1 commit(s) to refs/heads/main"
    assert stage.report(name, GITHUB_PUSH, headers).json()["run_id"] == run["run_id"]


def _check_legacy(stage: Stage, name: str, prompt: str, schedule: str, title: str) -> None:
    seen = len(stage.model.chats)
    run = stage.site.ask("automations", "trigger", name, "--wait")
    row = stage.site.automation(name)

    assert run["status"] == "completed", run
    assert (row["title"], row["schedule"], row["triggers"]) == (title, schedule, ["cron"])
    assert prompt in stage.model.chats[seen].prompt
    assert run["deliveries"] == []


def test_a_revenue_digest_adds_up_two_services_and_reaches_slack(ours: Stage) -> None:
    _check_revenue(ours, "revenue-digest")


def test_an_incident_is_looked_into_across_three_services(ours: Stage) -> None:
    _check_incident(ours, "incident-responder")


def test_failures_alert_once_and_recovery_is_told(ours: Stage) -> None:
    _check_alerts(ours, "incident-responder")


def test_a_drift_check_keeps_what_it_found_in_a_store(ours: Stage) -> None:
    _check_drift(ours, "drift-detector")


def test_a_signed_push_is_read_and_a_forged_one_is_not(ours: Stage) -> None:
    _check_push(ours, "push-reader")


def test_the_legacy_markdown_form_runs(ours: Stage) -> None:
    _check_legacy(
        ours, "sales-note", "Collect the open deals from the CRM.", "45 6 * * *", "Sales Note"
    )


def test_event_data_stands_in_one_block_that_it_cannot_leave(ours: Stage) -> None:
    seen = len(ours.model.chats)
    answer = ours.report("incident-responder", PAGERDUTY_EVENT | {"again": "fence"}, {})
    ours.site.finished(answer.json()["run_id"])
    prompt = ours.model.chats[seen].prompt

    assert prompt.count("</event_data") == 1
    assert "ignore all rules" in prompt
    assert prompt.index("PagerDuty opened an incident") < prompt.index('<event_data id="')
    ids = [re.findall(r'<event_data id="([^"]+)"', chat.prompt) for chat in _starts(ours, seen)]
    assert all(len(found) == 1 and len(found[0]) >= 8 for found in ids)


def test_an_event_over_ten_kilobytes_is_cut_in_the_prompt_and_kept_whole(ours: Stage) -> None:
    seen = len(ours.model.chats)
    large: dict[str, Any] = {**PAGERDUTY_EVENT, "log": "x" * 50_000 + "the end of it"}
    ours.model.brain = lambda _: Say("done")
    answer = ours.report("incident-responder", large, {})
    ours.site.finished(answer.json()["run_id"])
    ours.model.brain = by_prompt
    kept = ours.site.ask("events", "show", answer.json()["event_id"])["data"]

    prompt = ours.model.chats[seen].prompt
    assert "the end of it" not in prompt
    assert 10_000 < len(prompt.encode()) < 14_000
    assert "read_event" in ours.model.chats[seen].tools
    assert kept["log"].endswith("the end of it")


@pytest.mark.skipif(not UNCHANGED.is_dir(), reason="the originals do not lie beside this clone")
def test_the_originals_run_unchanged(site: Site, model: Model) -> None:
    with Stage(site, model) as stage:
        for path in UNCHANGED.iterdir():
            shutil.copyfile(path, site.workspace / "automations" / path.name)
        model.brain = by_prompt
        checked = site.run("amodal-rt", "validate", "--env", "--json")
        said = checked.json()
        assert (checked.code, said["valid"]) == (0, True)
        # They were written before anybody had to accept a risk by name.
        assert {each["code"] for each in said["problems"]} <= {"trifecta"}
        site.up()
        rows = {row["name"]: row for row in site.ask("automations", "list")}
        _check_revenue(stage, "revenue-digest")
        _check_incident(stage, "incident-responder")
        _check_alerts(stage, "incident-responder")
        _check_drift(stage, "drift-detector")
        _check_push(stage, "github-push")
        prompt = "Pull all active deals and recent activities from the CRM."
        _check_legacy(stage, "morning-brief", prompt, "0 7 * * *", "Morning Brief")

    assert rows.keys() == {path.stem for path in UNCHANGED.iterdir()}
    assert rows["revenue-digest"]["schedule"] == "0 9 * * 1-5"
    assert rows["drift-detector"]["schedule"] == "0 6 * * 1"
    assert rows["github-push"]["signed"] is True
    assert rows["incident-responder"]["signed"] is False


def _starts(stage: Stage, seen: int) -> list[Chat]:
    return [chat for chat in stage.model.chats[seen:] if chat.turn == 0]
