"""A newcomer's first minute: a workspace, a daemon, a run, and what is on record of it."""

import re

import pytest
import shapes
from outside import Daemon, Site, post_json
from waiting import eventually

EXAMPLES = {
    "daily-digest", "daily-digest-flow", "drift-check", "echo-hook", "failed-runs", "github-triage",
    "incident-responder", "ingestion-failure", "linear-triage", "morning-brief", "refunds",
    "slack-mention", "spend-limit", "stripe-payments", "weekly-review", "welcome-new-members",
}  # fmt: skip


@pytest.fixture(scope="module")
def daemon(shared_site: Site) -> Daemon:
    made = shared_site.run("amodal-rt", "init", str(shared_site.workspace))
    assert made.code == 0, made
    return shared_site.up()


@pytest.fixture
def site(shared_site: Site, daemon: Daemon) -> Site:
    return shared_site


def test_init_makes_a_workspace_that_is_valid(site: Site) -> None:
    found = {path.stem for path in (site.workspace / "automations").iterdir()}
    checked = site.run("amodal-rt", "validate", "--json")

    assert found == EXAMPLES
    assert checked.code == 0
    assert checked.json()["valid"]
    assert {each["code"] for each in checked.json()["problems"]} == {"env_missing"}


def test_init_leaves_a_folder_that_is_not_empty_alone(site: Site) -> None:
    before = (site.workspace / "amodal.json").read_bytes()

    assert site.run("amodal-rt", "init", str(site.workspace)).code != 0
    assert (site.workspace / "amodal.json").read_bytes() == before


def test_up_says_for_each_automation_when_or_where_it_runs(daemon: Daemon) -> None:
    def lines() -> dict[str, str]:
        told = (line.strip() for line in daemon.output().splitlines())
        return {line.split()[0]: line for line in told if line and line.split()[0] in EXAMPLES}

    said = eventually(lambda: lines() if lines().keys() == EXAMPLES else None, "a line for each")

    assert "0 9 * * 1-5" in said["daily-digest"]
    assert "next" in said["daily-digest"]
    assert re.search(shapes.HOOK, said["echo-hook"])
    assert "local only" in said["echo-hook"]
    assert "unsigned" in said["echo-hook"]
    assert "rehearsal" in daemon.output()


def test_list_has_the_promised_columns_and_shape(site: Site) -> None:
    shown = site.ops("automations", "list")
    rows = {row["name"]: row for row in site.ask("automations", "list")}

    heads = shown.out.splitlines()[0]
    for head in ("Name", "Trigger", "Schedule", "Status", "Next Run or Webhook URL"):
        assert head in heads
    assert rows.keys() == EXAMPLES
    for row in rows.values():
        assert row.keys() == shapes.AUTOMATION
        # A draft that may write, and that waits for its token.
        assert row["status"] == ("invalid" if row["name"] == "slack-mention" else "active")
        assert re.fullmatch(r"aut_\w+", row["id"])
    digest, hook = rows["daily-digest"], rows["echo-hook"]
    assert (digest["triggers"], digest["schedule"]) == (["cron"], "0 9 * * 1-5")
    assert (digest["title"], digest["timezone"]) == ("Daily Digest", "UTC")
    assert re.fullmatch(shapes.INSTANT, digest["next_run_at"])
    assert (digest["webhook_url"], digest["stale"]) == (None, False)
    assert (hook["triggers"], hook["schedule"], hook["signed"]) == (["webhook"], None, False)
    assert re.fullmatch(shapes.HOOK, hook["webhook_url"])
    assert rows["drift-check"]["timezone"] == "Europe/Berlin"


def test_a_triggered_rehearsal_prints_its_session_and_reads_the_runtime(site: Site) -> None:
    done = site.ops("automations", "trigger", "daily-digest")

    assert done.code == 0, done
    first = done.out.splitlines()[0]
    assert re.search(shapes.RUN_ID, first)
    assert re.search(shapes.SESSION_ID, first)
    assert "[rehearsal]" in done.out
    assert "/runs" in done.out
    assert "completed" in done.out


def test_trigger_with_json_answers_at_once_and_with_wait_when_it_has_ended(site: Site) -> None:
    begun = site.ask("automations", "trigger", "daily-digest")
    ended = site.ask("automations", "trigger", "daily-digest", "--wait")

    assert {"run_id", "session_id", "status"} <= begun.keys()
    assert re.fullmatch(shapes.RUN_ID, begun["run_id"])
    assert begun["session_id"] == f"auto_{begun['run_id']}"
    assert ended["status"] == "completed"
    assert ended["model"] == "rehearsal"
    assert ended["result"]["text"].startswith("[rehearsal]")


def test_a_run_has_the_promised_shape(site: Site) -> None:
    run_id = site.ask("automations", "trigger", "daily-digest", "--wait")["run_id"]
    run = site.ask("runs", "show", run_id)

    assert run.keys() == shapes.RUN_IN_FULL
    assert run["usage"].keys() == shapes.USAGE
    assert run["result"].keys() == shapes.RESULT
    assert (run["automation"], run["title"]) == ("daily-digest", "Daily Digest")
    assert (run["trigger"], run["status"], run["reason"]) == ("manual", "completed", None)
    assert (run["depth"], run["attempt"], run["count"]) == (0, 1, 1)
    assert (run["error"], run["event_id"], run["scheduled_for"]) == (None, None, None)
    for key in ("created_at", "started_at", "finished_at"):
        assert re.fullmatch(shapes.INSTANT, run[key])
    assert 0 <= run["duration_seconds"] < 30
    assert re.fullmatch(r"[0-9a-f]{64}", run["definition"])
    assert run["usage"]["input_tokens"] == run["usage"]["output_tokens"] == 0


def test_history_lists_runs_newest_first_in_words_and_shape(site: Site) -> None:
    latest = site.ask("automations", "trigger", "daily-digest", "--wait")["run_id"]
    shown = site.ops("automations", "history", "daily-digest")
    rows = site.ask("automations", "history", "daily-digest", "--limit", "2")
    none = site.ask("automations", "history", "daily-digest", "--status", "failed")

    for head in ("Run ID", "Started", "Duration", "Status", "Output"):
        assert head in shown.out.splitlines()[0]
    assert latest in shown.out
    assert len(rows) == 2
    assert rows[0]["run_id"] == latest
    assert all(row.keys() >= shapes.RUN for row in rows)
    assert rows[0]["created_at"] >= rows[1]["created_at"]
    assert none == []
    assert [row["run_id"] for row in site.ask("runs", "list", "--limit", "1")] == [latest]
    last = site.automation("daily-digest")["last_run"]
    assert last.keys() == shapes.LAST_RUN
    assert last["run_id"] == latest


def test_the_journal_is_json_lines_in_sequence(site: Site) -> None:
    run_id = site.ask("automations", "trigger", "daily-digest", "--wait")["run_id"]
    entries = site.journal(run_id)

    assert [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1))
    assert all({"sequence", "type", "at"} <= entry.keys() for entry in entries)
    types = [entry["type"] for entry in entries]
    assert types[0] == "run.started"
    assert types[-1] == "run.finished"
    assert types.index("tool.started") < types.index("tool.finished")


def test_why_names_the_rule_that_decided_about_an_event(site: Site) -> None:
    assert site.ops("automations", "pause", "echo-hook", "--reason", "quiet hours").code == 0
    skipped = post_json(site.hook("echo-hook"), {"n": 1})
    assert site.ops("automations", "resume", "echo-hook").code == 0
    rows = site.ask("automations", "why", "echo-hook")

    assert skipped.status == 202
    assert (skipped.json()["status"], skipped.json()["reason"]) == ("skipped", "paused")
    found = next(row for row in rows if row["event_id"] == skipped.json()["event_id"])
    assert found.keys() == shapes.RULING
    assert (found["status"], found["reason"]) == ("skipped", "paused")
    assert found["rule"]


def test_events_list_has_the_promised_shape(site: Site) -> None:
    answer = post_json(site.hook("echo-hook"), {"n": 2}, {"webhook-id": "msg_77"}).json()
    rows = site.ask("events", "list")

    found = next(row for row in rows if row["event_id"] == answer["event_id"])
    assert found.keys() == shapes.EVENT
    assert found["runs"][0].keys() == shapes.EVENT_RUN
    assert found["runs"][0]["run_id"] == answer["run_id"]
    assert (found["delivery_id"], found["missed"]) == ("msg_77", 0)


def test_pause_and_resume_say_so_and_show_the_same_shape(site: Site) -> None:
    paused = site.ops("automations", "pause", "drift-check")
    row = site.ask("automations", "show", "drift-check")
    again = site.ask("automations", "pause", "drift-check", "--reason", "release week")
    resumed = site.ops("automations", "resume", "drift-check")
    active = site.ask("automations", "resume", "drift-check")

    assert paused.code == 0
    assert 'Paused "Drift Check" will not run until resumed' in paused.out
    assert row["status"] == "paused"
    assert row["next_run_at"] is None
    assert (again["name"], again["status"]) == ("drift-check", "paused")
    assert again["reason"] == "release week"
    assert resumed.code == 0
    assert "next run" in resumed.out.lower()
    assert active["status"] == "active"
    assert all(each.keys() >= shapes.AUTOMATION for each in (row, again, active))


def test_pause_all_and_activate_and_reset_keep_the_shape(site: Site) -> None:
    everything = site.ask("automations", "pause", "--all")
    for name in EXAMPLES - {"slack-mention"}:
        assert site.ops("automations", "resume", name).code == 0
    assert site.ops("automations", "resume", "slack-mention").code == 1, "its file says draft"
    drafted = site.ask("automations", "reset", "weekly-review")
    said = (site.workspace / "automations" / "weekly-review.md").read_text()
    activated = site.ask("automations", "activate", "weekly-review")

    assert {row["name"] for row in everything} == EXAMPLES
    assert {row["status"] for row in everything if row["name"] != "slack-mention"} == {"paused"}
    assert drafted["status"] == "draft"
    assert re.search(r'^status: "?draft"?$', said, re.MULTILINE)
    assert "Write the weekly review" in said
    assert activated["status"] == "active"


def test_a_person_reads_one_automation_whole(site: Site) -> None:
    shown = site.ops("automations", "show", "daily-digest")

    assert shown.code == 0
    for word in ("Daily Digest", "daily-digest", "0 9 * * 1-5", "read-only"):
        assert word in shown.out
