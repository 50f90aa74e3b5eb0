"""The page on JSON output and the journal page name the keys that a real daemon prints."""

import json
import re
import time
from typing import Any

import doc_pages
import pytest
from doc_daemon import Daemon, call

# The first test waits for a daemon and two dozen commands.
pytestmark = pytest.mark.timeout(180)

REFERENCE = doc_pages.DOCS / "reference"


def _section(title: str) -> str:
    text = doc_pages.read(REFERENCE / "json-output.md")
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def _table(text: str) -> set[str]:
    """The keys in the first column."""
    cells = re.findall(r"^\| (`[^|]+`) \|", text, re.MULTILINE)
    return {key for cell in cells for key in re.findall(r"`([a-z_]+)`", cell)}


def _inline(text: str, after: str = "") -> set[str]:
    """The keys of the first object that is written out after some words."""
    found = re.search(r"\{(.*?)\}", text.partition(after)[2] if after else text, re.DOTALL)
    assert found, after
    return set(re.findall(r'"([a-z_]+)"', found[1]))


@pytest.fixture(scope="module")
def told(daemon: Daemon) -> dict[str, Any]:
    """One document of each kind, after an event, a refusal, a run and a delivery."""
    hook = {"title": "Hook", "trigger": "webhook", "prompt": "Read {{event}}.", "connections": []}
    target = {"type": "webhook", "url": "http://127.0.0.1:9/in", "label": "nobody"}
    daemon.save("hook", {**hook, "delivery": {"targets": [target]}})
    url = daemon.ask("automations", "show", "hook")["webhook_url"]
    status, accepted = call(url, b'{"greeting": "hello"}')
    assert status == 202
    assert call(url, b"x" * 1_100_000)[0] == 413
    run = _ended(daemon, accepted["run_id"])
    data = daemon.folder / "event.json"
    data.write_text('{"greeting": "hello"}', encoding="utf-8")
    (delivery,) = daemon.ask("deliveries", "list")
    return {
        "accepted": accepted,
        "automation": daemon.ask("automations", "list")[0],
        "automation in full": daemon.ask("automations", "show", "hook"),
        "paused": daemon.ask("automations", "pause", "hook"),
        "run": daemon.ask("runs", "list")[0],
        "run in full": run,
        "why": daemon.ask("automations", "why", "hook")[0],
        "event": daemon.ask("events", "list")[0],
        "event in full": daemon.ask("events", "show", accepted["event_id"]),
        "rejection": daemon.ask("events", "list", "--rejected")[0],
        "delivery": delivery,
        "delivery in full": daemon.ask("deliveries", "show", delivery["delivery_id"]),
        "approval": _asked(daemon),
        "connection": daemon.ask("connections", "list")[0],
        "tool": daemon.ask("connections", "tools", "runtime")[0],
        "test": daemon.ask("connections", "test", "runtime"),
        "store": daemon.ask("stores")[0],
        "node": daemon.ask("nodes", "list")[0],
        "emitted": daemon.ask("events", "emit", "deploy.finished"),
        "replayed": daemon.ask("events", "replay", accepted["event_id"]),
        "type": daemon.ask("events", "types", "github.push"),
        "types": daemon.ask("events", "types")[0],
        "member": daemon.ask("identities", "link", "anna", "github", "octocat", "--create"),
        "integration": daemon.ask("integrations", "list")[0],
        "new token": _tokens(daemon, "create", "ci", "--scope", "trigger"),
        "token": _tokens(daemon, "list")[0],
        "tried": daemon.ask("automations", "test-event", "hook", str(data)),
        "next": daemon.ask("automations", "next", "--schedule", "every 15m"),
    }


def _asked(daemon: Daemon) -> Any:
    graph = {
        "kind": "WorkflowGraph",
        "start_node": "ask",
        "nodes": [{"id": "ask", "kind": "approval", "message": "Well?"}],
    }
    folder = daemon.workspace / "workflows"
    folder.mkdir(exist_ok=True)
    (folder / "asking.json").write_text(json.dumps(graph), encoding="utf-8")
    daemon.save("asking", {"title": "Asking", "workflow": "asking"})
    asking = daemon.run("ops", "automations", "trigger", "asking")
    assert asking.returncode == 6, asking.stdout + asking.stderr
    return daemon.ask("approvals", "list")[0]


def _tokens(daemon: Daemon, *verb: str) -> Any:
    return json.loads(daemon.run("amodal-rt", "tokens", *verb, "--json").stdout)


def _ended(daemon: Daemon, run_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while True:
        run: dict[str, Any] = daemon.ask("runs", "show", run_id)
        if run["status"] not in {"pending", "running"}:
            return run
        assert time.monotonic() < deadline, run
        time.sleep(0.05)


def test_automations_have_the_keys_of_the_page(told: dict[str, Any]) -> None:
    row, _, full = _section("Automation").partition("`ops automations show` prints")

    assert told["automation"].keys() == _table(row)
    assert told["automation"]["last_run"] is None or told["automation"]["last_run"].keys() == (
        _inline(row, "`last_run` |")
    )
    assert told["automation in full"].keys() == _table(row) | _table(full)
    assert told["paused"].keys() == _table(row) | _table(full)
    assert told["automation in full"]["limits"].keys() | {"per_run", "per_hour"} == (
        _inline(full.replace("}}", "}"), "`limits` |") | {"per_hour"}
    )


def test_runs_have_the_keys_of_the_page(told: dict[str, Any]) -> None:
    section = _section("Run")

    assert told["run"].keys() == _table(section)
    assert told["run in full"].keys() == _table(section) | {"result", "event_id", "definition"}
    assert told["run in full"]["result"].keys() == _inline(section, "with `result` (")
    assert told["run in full"]["usage"].keys() == _inline(section, "`usage` |")
    assert told["run in full"]["deliveries"][0].keys() == _inline(section, "`deliveries` |")


def test_events_have_the_keys_of_the_page(told: dict[str, Any]) -> None:
    section = _section("Event")
    more = {"subject", "actor", "time", "depth", "automation", "automations", "headers", "data"}

    assert told["event"].keys() == _table(section)
    assert told["event"]["runs"][0].keys() == _inline(section, "`runs` |")
    assert told["event in full"].keys() == _table(section) | more
    assert all(f"`{key}`" in section for key in more)
    assert told["rejection"].keys() == _inline(section, "--rejected` prints")
    assert told["emitted"].keys() == _inline(section, "emit` prints")
    assert told["replayed"].keys() == _inline(section, "replay` prints")


def test_what_stands_beside_the_automations_has_the_keys_of_the_page(told: dict[str, Any]) -> None:
    types = _section("Type of event")

    assert told["types"].keys() == _inline(types)
    assert told["type"].keys() == _inline(types) | {"schema", "sample"}
    assert told["member"].keys() == _table(_section("Member"))
    assert told["integration"].keys() == _table(_section("Integration"))
    assert told["token"].keys() == _table(_section("Token"))
    assert told["new token"].keys() == _table(_section("Token")) | {"secret"}


def test_deliveries_have_the_keys_of_the_page(told: dict[str, Any]) -> None:
    section = _section("Delivery")
    more = {"created_at", "expires_at", "finished_at", "body"}

    assert told["delivery"].keys() == _table(section)
    assert told["delivery in full"].keys() == _table(section) | more
    assert all(f"`{key}`" in section for key in more)


def test_approvals_have_the_keys_of_the_page(told: dict[str, Any]) -> None:
    assert told["approval"].keys() == _table(_section("Approval"))


def test_the_small_documents_have_the_keys_of_the_page(told: dict[str, Any]) -> None:
    connection = _section("Connection")

    assert told["why"].keys() == _inline(_section("Why"))
    assert told["tried"].keys() == _table(_section("An event tried"))
    assert told["tried"]["conditions"][0].keys() == (
        _inline(_section("An event tried"), "`conditions` |")
    )
    assert told["connection"].keys() == _inline(connection, "`ops connections list` prints")
    assert told["tool"].keys() == _inline(connection, "`tools` a list of")
    assert told["test"].keys() == _inline(connection, "`test` one")
    assert told["store"].keys() == _inline(_section("Store"), "`ops stores` prints")
    assert told["node"].keys() == _inline(_section("Node"), "`ops nodes list` prints")
    assert told["node"]["status"] == "living"
    assert told["next"].keys() == _inline(_section("Without a daemon"))


def test_the_answer_to_a_webhook_has_the_keys_of_the_http_page(told: dict[str, Any]) -> None:
    page = doc_pages.read(REFERENCE / "http.md")

    assert told["accepted"].keys() == _inline(page, "| 202 | `") - {"accepted"}


def test_a_validated_workspace_is_told_in_the_shape_of_the_page(daemon: Daemon) -> None:
    broken = daemon.workspace / "automations" / "broken.json"
    broken.write_text('{"title": "x", "shedule": "0 9 * * *", "prompt": "x"}', encoding="utf-8")
    done = daemon.run("amodal-rt", "validate", str(daemon.workspace), "--json")
    broken.unlink()

    document = json.loads(done.stdout)

    assert done.returncode == 3
    section = _section("Without a daemon").partition("`amodal-rt validate` prints")[2]
    assert document.keys() == _inline(section)
    assert document["problems"][0].keys() == _inline(section, "with a list of")


def test_an_error_has_the_shape_of_the_page(daemon: Daemon) -> None:
    done = daemon.run("ops", "automations", "show", "nobody", "--json")

    assert done.returncode == 4
    error = json.loads(done.stdout)["error"]
    assert error.keys() == {"code", "kind", "message", "hint"}


def test_a_journal_has_the_keys_of_the_journal_page(daemon: Daemon, told: dict[str, Any]) -> None:
    started = daemon.ask("automations", "trigger", "daily-digest", "--wait")
    done = daemon.run("ops", "runs", "logs", started["run_id"], "--json")
    entries = [json.loads(line) for line in done.stdout.splitlines()]
    page = doc_pages.read(REFERENCE / "journal.md")
    rows = dict(re.findall(r"^\| `([a-z]+\.[a-z]+)` \| [^|]* \| (.*) \|$", page, re.MULTILINE))
    of_calls = rows["tool.started"]

    assert {"run.started", "turn.finished", "tool.finished"} <= {each["type"] for each in entries}
    for entry in entries:
        assert entry.keys() == _table(page.partition("## Types")[0])
        more = of_calls if entry["type"].startswith("tool.") else ""
        unknown = {key for key in entry["data"] if f"`{key}`" not in rows[entry["type"]] + more}
        assert unknown == set(), entry
