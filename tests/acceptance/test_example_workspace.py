"""The workspace that newcomers copy runs as it is, with no key and no network."""

import json
import shutil
from pathlib import Path

import pytest
import senders
from files import Workspace
from installed import ROOT
from outside import Site, post_json

EXAMPLES = ROOT / "automations.example"
FLOWS = ["daily-digest-flow", "ingestion-failure", "welcome-new-members"]
PROGRAMS = ["spend-limit"]
"""Those whose agent is a program, which runs where a model would be rehearsed."""
WRITES = ["refunds"]
"""Those that write, and wait for a person above a limit."""
NAMES = sorted(
    path.stem
    for path in (EXAMPLES / "automations").iterdir()
    if path.stem not in (*FLOWS, *PROGRAMS, *WRITES)
)
TOLD = {
    "github-triage": senders.github_issue(7, "Checkout is slow"),
    "linear-triage": senders.linear_issue("PAY-1", "No card works", action="create", priority=1),
    "slack-mention": senders.slack_mention("what failed?", ts="1767603600.000100"),
    "ingestion-failure": {"ingestion_id": "cig_1", "status": "failed"},
    "welcome-new-members": {"thread_id": "thr_1", "user_id": "usr_ada"},
}
"""What those need whose prompt or graph reads an event."""


@pytest.fixture(scope="module")
def example(shared_site: Site) -> Site:
    made = shared_site.run("amodal-rt", "init", str(shared_site.workspace))
    assert made.code == 0, made
    Workspace(shared_site.workspace).secrets(SLACK_BOT_TOKEN="xoxb-not-real")
    shared_site.up()
    return shared_site


def test_the_wheel_carries_the_same_files(example: Site) -> None:
    ours = {
        path.relative_to(EXAMPLES): path.read_bytes()
        for path in EXAMPLES.rglob("*")
        if path.is_file()
    }
    copied = {
        path.relative_to(example.workspace): path.read_bytes()
        for path in example.workspace.rglob("*")
        if path.is_file() and path.name != ".env" and ".amodal-rt" not in path.parts
    }

    assert copied == ours


@pytest.mark.parametrize("name", NAMES)
def test_each_automation_completes_in_rehearsal(example: Site, name: str) -> None:
    told = ["--payload", json.dumps(TOLD[name])] if name in TOLD else []
    run = example.ask("automations", "trigger", name, "--wait", *told)

    assert (run["status"], run["model"]) == ("completed", "rehearsal")
    assert run["result"]["text"].startswith("[rehearsal]")
    assert run["usage"]["input_tokens"] == 0


@pytest.mark.parametrize(
    ("name", "type", "empty"),
    [
        ("github-triage", "github.issues.opened", "issue.body"),
        ("github-triage", "github.pull_request.opened", "pull_request.body"),
        ("linear-triage", "linear.issue.create", "data.description"),
    ],
)
def test_a_text_that_nobody_wrote_keeps_no_automation_from_running(
    example: Site, tmp_path: Path, name: str, type: str, empty: str
) -> None:
    told = example.ask("events", "types", type)
    around, _, last = empty.rpartition(".")
    told["sample"][around][last] = None
    (tmp_path / "empty.json").write_text(json.dumps(told))

    found = example.ask("automations", "test-event", name, str(tmp_path / "empty.json"))

    assert (found["matches"], found["fault"]) == (True, None)


@pytest.mark.parametrize("name", FLOWS)
def test_each_workflow_completes_without_a_model(example: Site, name: str) -> None:
    told = ["--payload", json.dumps(TOLD[name])] if name in TOLD else []
    run = example.ask("automations", "trigger", name, "--wait", *told)

    assert (run["status"], run["model"]) == ("completed", None)
    assert run["result"]["output"] != []


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="its program runs in bubblewrap")
def test_a_budget_is_seen_to_hold_without_a_key(example: Site) -> None:
    for _ in range(3):
        run = example.ask("automations", "trigger", "spend-limit", "--wait")
        assert (run["status"], run["usage"]["cost_usd"]) == ("completed", 0.2)

    fourth = example.ops("automations", "trigger", "spend-limit", "--wait", "--json").json()
    assert (fourth["status"], fourth["reason"]) == ("failed", "budget_exceeded")
    assert "automations/spend-limit.json" in fourth["error"]


def test_a_write_waits_for_a_person_without_a_key(example: Site) -> None:
    book = example.workspace / "refunds.jsonl"
    small, large = {"order": 4711, "amount": 20}, {"order": 4712, "amount": 700}
    done, asks = (
        example.ops("automations", "trigger", "refunds", "--wait", "--payload", json.dumps(each))
        for each in (small, large)
    )
    before = book.read_text()
    [waiting] = example.ask("approvals", "list")
    approved = example.ask("approvals", "approve", waiting["id"])
    again = example.ops("approvals", "approve", waiting["id"])

    assert (done.code, asks.code, again.code) == (0, 6, 1)
    assert before == json.dumps(small) + "\n"
    assert (approved["status"], approved["write"]["outcome"]["result"]) == (
        "performed", "order 4712: 700 given back",
    )  # fmt: skip
    assert book.read_text() == before + json.dumps(large) + "\n"
    book.unlink()


def test_the_webhook_responder_quotes_what_it_was_sent(example: Site) -> None:
    answer = post_json(example.hook("echo-hook"), {"greeting": "good morning"})
    run = example.finished(answer.json()["run_id"])

    assert run["status"] == "completed"
    assert "good morning" in run["result"]["text"]


def test_a_rehearsal_is_not_remembered_as_a_last_run(example: Site) -> None:
    example.ask("automations", "trigger", "daily-digest", "--wait")
    run = example.ask("automations", "trigger", "daily-digest", "--wait")

    assert "lastRunSummary" not in run["result"]["text"]
    owed = {each["automation"] for each in example.ask("deliveries", "list")}
    assert owed <= set(FLOWS)


def test_every_connection_of_it_answers(example: Site) -> None:
    rows = {row["name"]: row["state"] for row in example.ask("connections", "list")}
    assert rows == {"runtime": "ready", "shop": "ready", "slack": "ready"}
    assert example.ops("connections", "test", "runtime").code == 0
    tools = example.ask("connections", "tools", "runtime")
    assert {each["intent"] for each in tools} == {"read"}
