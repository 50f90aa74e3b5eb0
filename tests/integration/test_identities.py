"""Event types and members of a real daemon, from the command line to the file and back."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, eventually, write

from amodal_rt.errors import ConflictError, InvalidError, NotFoundError
from amodal_rt.storage.filesystem import LEDGER_FILE

OPS = "import sys; from amodal_rt.cli.entry import ops; sys.exit(ops())"
PEOPLE = """\
{
  "members": [
    {"id": "anna", "name": "Anna", "accounts": {"github": ["octocat"]}}
  ]
}
"""
SERVER = {
    "protocol": "mcp",
    "command": sys.executable,
    "args": ["-m", "amodal_rt.testing.trigger_server"],
}


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Generator[Child, None, None]:
    root = tmp_path_factory.mktemp("identities") / "workspace"
    automation(root, "release", trigger="deployed")
    write(root, "events/deployed.json", {"description": "A deployment ended.", "sample": {"a": 1}})
    write(root, "connections/boards/spec.json", SERVER)
    write(root, "connections/runtime/spec.json", {"protocol": "runtime"})
    with daemon(root) as running:
        yield running


@pytest.fixture(autouse=True)
def people(child: Child) -> Path:
    path = write(child.root, "identities.json", PEOPLE)
    eventually(lambda: child.client.get("/v1/identities") == [ANNA])
    return path


ANNA = {"id": "anna", "name": "Anna", "email": None, "accounts": {"github": ["octocat"]}}


def ops(child: Child | None, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    state = {"AMODAL_RT_STATE_DIR": str(child.state)} if child else {}
    home = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", OPS, *words],
        env={"PATH": os.environ["PATH"], **home, **state},
        cwd=child.root if child else folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_link_is_in_the_file_live_and_on_record(
    child: Child, people: Path, tmp_path: Path
) -> None:
    done = ops(child, "identities", "link", "anna", "slack", "U1", "--json", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    linked = {"github": ["octocat"], "slack": ["U1"]}
    assert json.loads(done.stdout)["accounts"] == linked
    assert child.client.get("/v1/identities")[0]["accounts"] == linked
    assert people.read_text() == PEOPLE.replace('["octocat"]', '["octocat"], "slack": ["U1"]')

    undone = ops(child, "identities", "unlink", "slack", "U1", folder=tmp_path)

    assert "slack:U1 is no longer anna's" in undone.stdout
    assert people.read_text() == PEOPLE
    path = child.state / LEDGER_FILE
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        found = ledger.execute(
            "select action, subject, actor, door, data from audit where action like 'identity.%'"
            " order by number desc limit 2"
        ).fetchall()
    assert [each[0] for each in reversed(found)] == ["identity.linked", "identity.unlinked"]
    assert {each[1] for each in found} == {"anna"}
    assert {each[3] for each in found} == {"cli"}
    assert all("slack:U1" in each[4] for each in found)


def test_a_provider_of_which_no_event_can_tell_is_refused(child: Child, people: Path) -> None:
    body = {"member": "anna", "provider": "githib", "account": "octocat"}

    with pytest.raises(InvalidError) as raised:
        child.client.post("/v1/identities/link", body)

    assert raised.value.code == "unknown_provider"
    assert "github" in str(raised.value.hint)
    assert people.read_text() == PEOPLE


def test_a_new_member_is_made_only_when_that_is_said(child: Child, people: Path) -> None:
    body: dict[str, Any] = {"member": "ben", "provider": "github", "account": "hubot"}

    with pytest.raises(NotFoundError) as raised:
        child.client.post("/v1/identities/link", body)
    assert raised.value.code == "member_not_found"
    assert people.read_text() == PEOPLE

    made = child.client.post("/v1/identities/link", {**body, "create": True})

    assert made["accounts"] == {"github": ["hubot"]}
    assert [each["id"] for each in child.client.get("/v1/identities")] == ["anna", "ben"]


def test_an_account_of_somebody_else_is_not_taken(child: Child, people: Path) -> None:
    body = {"member": "ben", "provider": "github", "account": "Octocat", "create": True}

    with pytest.raises(ConflictError) as raised:
        child.client.post("/v1/identities/link", body)

    assert raised.value.code == "account_taken"
    assert people.read_text() == PEOPLE


def test_members_are_listed(child: Child, tmp_path: Path) -> None:
    shown = ops(child, "identities", "list", folder=tmp_path).stdout
    document = ops(child, "identities", "list", "--json", folder=tmp_path).stdout

    assert "github:octocat" in shown
    assert json.loads(document) == [ANNA]


def test_types_of_every_origin_are_listed_and_shown(child: Child) -> None:
    rows = {row["type"]: row for row in child.client.get("/v1/events/types")}

    assert rows["github.issues.opened"]["origin"] == "provider"
    assert rows["automation.run.failed"]["origin"] == "runtime"
    assert rows["thread.created"]["origin"] == "platform"
    assert rows["deployed"] == {
        "type": "deployed",
        "origin": "workspace",
        "source": "events/deployed.json",
        "alias_of": None,
        "description": "A deployment ended.",
    }
    assert [name for name, row in rows.items() if row["origin"] == "connection"]
    assert {row["type"]: row["alias_of"] for row in rows.values() if row["origin"] == "alias"} == {
        "webhook.github_app.issues": "github.issues.*",
        "webhook.github_app.pull_request": "github.pull_request.*",
        "webhook.inbound": "webhook.received",
        "webhook.slack.app_mention": "slack.app_mention",
    }
    assert all(
        name.startswith("boards.") for name, row in rows.items() if row["source"] == "boards"
    )
    assert list(rows) == sorted(rows)


def test_types_can_be_asked_for_by_source_and_glob(child: Child) -> None:
    get = child.client.get

    slack = get("/v1/events/types", {"source": "slack"})
    reactions = get("/v1/events/types", {"fitting": "slack.reaction_*"})
    servers = get("/v1/events/types", {"source": "boards"})

    assert {row["source"] for row in slack} == {"slack"}
    assert [row["type"] for row in reactions] == ["slack.reaction_added", "slack.reaction_removed"]
    one = get(f"/v1/events/types/{servers[0]['type']}")
    assert one["schema"]["type"] == "object"


def test_a_type_is_shown_by_both_commands(child: Child, tmp_path: Path) -> None:
    words = (("events", "types", "deployed"), ("events", "show", "deployed"))

    shown = [json.loads(ops(child, *each, "--json", folder=tmp_path).stdout) for each in words]

    assert shown[0] == shown[1]
    assert shown[0]["sample"] == {"a": 1}
    missing = ops(child, "events", "types", "deploid", folder=tmp_path)
    assert missing.returncode == 4
    assert "deployed" in missing.stderr


def test_what_is_built_in_needs_no_daemon(tmp_path: Path) -> None:
    listed = ops(None, "events", "types", "github.issues.*", "--json", folder=tmp_path)
    one = ops(None, "events", "types", "stripe.charge.failed", "--json", folder=tmp_path)

    assert listed.returncode == one.returncode == 0
    assert "github.issues.opened" in [row["type"] for row in json.loads(listed.stdout)]
    assert json.loads(one.stdout)["sample"]["data"]["object"]["status"] == "failed"
    assert "built-in" in listed.stderr
