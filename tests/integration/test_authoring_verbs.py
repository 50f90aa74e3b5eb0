"""`ops automations create|update|delete`, against a real daemon."""

import json
import os
import sqlite3
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, write

from amodal_rt.cli.entry import main
from amodal_rt.client import Client, TcpClient
from amodal_rt.domain.cause import Cause
from amodal_rt.errors import AmodalError
from amodal_rt.guardrails.causes import Causes
from amodal_rt.servers.peers import user_name

KEY = "k" * 32


@pytest.fixture(scope="module")
def child(tmp_path_factory: pytest.TempPathFactory) -> Generator[Child, None, None]:
    """One daemon for the module."""
    root = tmp_path_factory.mktemp("authoring") / "workspace"
    automation(root, "kept", connections=[])
    write(root, "automations/note.md", "---\ntitle: Note\n---\n\nOld.\n")
    with daemon(root, AMODAL_RT_WEBHOOK_KEY=KEY) as running:
        yield running


class Ops:
    """`ops automations …` in this process, on the daemon's workspace."""

    def __init__(self, child: Child, capsys: pytest.CaptureFixture[str]) -> None:
        self.child = child
        self.capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        line = ["ops", "automations", *words, "--workspace", str(self.child.root)]
        code = main(line, program="ops")
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def json(self, *words: str) -> tuple[int, Any]:
        code, out, _ = self(*words, "--json")
        return code, json.loads(out)

    def file(self, name: str) -> Any:
        return json.loads((self.child.root / "automations" / name).read_text("utf-8"))


@pytest.fixture
def ops(child: Child, capsys: pytest.CaptureFixture[str]) -> Ops:
    return Ops(child, capsys)


def test_one_is_made_changed_and_deleted(ops: Ops) -> None:
    made = ops("create", "daily-look", "--prompt", "Look.", "--schedule", "0 9 * * *")
    file = ops.file("daily-look.json")
    code, shown = ops.json(
        "update",
        "daily-look",
        "--set",
        'title="Look \\u00e9"',
        "--set",
        "schedule=null",
        "--set",
        'limits={"maxTurns": 5}',
    )
    deleted = ops.json("delete", "daily-look", "--yes")

    assert made[0] == 0
    assert made[1].startswith('Created "Daily Look" in automations/daily-look.json (active); next')
    assert file == {"title": "Daily Look", "prompt": "Look.", "schedule": "0 9 * * *"}
    assert (code, shown["title"], shown["schedule"]) == (0, "Look é", None)
    assert shown["limits"]["max_turns"] == 5
    gone = {"name": "daily-look", "deleted": True, "file": "automations/daily-look.json"}
    assert deleted == (0, gone)
    with closing(sqlite3.connect(ops.child.state / "ledger.sqlite")) as ledger:
        rows = ledger.execute(
            "SELECT action, actor, door FROM audit WHERE subject = 'daily-look' ORDER BY number"
        ).fetchall()
    actions = ("automation.created", "automation.updated", "automation.deleted")
    assert rows == [(each, user_name(os.getuid()), "cli") for each in actions]


def test_whole_files_are_written_as_they_are(ops: Ops, tmp_path: Path) -> None:
    markdown = tmp_path / "any.md"
    markdown.write_text("---\ntitle: Mine # kept\nwriteEnabled: true\n---\n\nLook.\n")
    other = tmp_path / "any.json"
    other.write_text('{ "title":"J",   "prompt": "x" }\n')

    first = ops("create", "mine", "--file", str(markdown))
    wrong = ops("update", "mine", "--file", str(other))
    made = ops("create", "theirs", "--file", str(other))
    other.write_text('{"title": "K", "prompt": "y"}')
    again = ops("update", "theirs", "--file", str(other))

    folder = ops.child.root / "automations"
    assert (first[0], made[0], again[0]) == (0, 0, 0)
    assert (folder / "mine.md").read_text() == markdown.read_text()
    assert (folder / "theirs.json").read_text() == '{"title": "K", "prompt": "y"}'
    assert wrong[0] == 1
    assert "automations/mine.md is no file that ends in .json" in wrong[2]


def test_other_keys_stay_as_they_were(ops: Ops) -> None:
    code, _, _ = ops("update", "note", "--set", 'prompt="New."', "--set", 'timezone="UTC"')

    text = (ops.child.root / "automations/note.md").read_text()
    assert code == 0
    assert "title: Note" in text
    assert text.endswith("---\n\nNew.\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["create", "kept", "--prompt", "x"], 1, "there is an automation 'kept' already"),
        (["create", "Not A Stem", "--prompt", "x"], 2, "is no name for an automation"),
        (["create", "empty"], 3, "nothing says what runs"),
        (["create", "bad", "--prompt", "x", "--schedule", "61 * * * *"], 3, "schedule"),
        (["create", "odd", "--prompt", "x", "--set", "prompt2=1"], 3, "prompt2"),
        (["create", "odd", "--set", "prompt=Hello"], 2, "not JSON"),
        (["create", "odd", "--set", "prompt"], 2, "KEY=JSON"),
        (["create", "odd", "--file", "x.json", "--prompt", "y"], 2, "whole file"),
        (["create", "odd", "--file", "/nowhere/x.json"], 2, "No such file"),
        (["create", "odd", "--file", "x.yaml"], 2, ".json or .md"),
        (["update", "kept"], 2, "--set"),
        (["update", "nobody", "--set", "title=null"], 4, "nobody"),
        (["update", "kept", "--set", "title=null"], 3, "title"),
        (["delete", "kept"], 2, "--yes"),
        (["delete", "nobody", "--yes"], 4, "nobody"),
    ],
)
def test_what_is_wrong_ends_with_its_code_and_writes_nothing(
    ops: Ops, words: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    before = sorted((ops.child.root / "automations").iterdir())

    found = ops(*words)

    assert found[0] == code, found
    assert said in found[2]
    assert sorted((ops.child.root / "automations").iterdir()) == before


def test_the_owner_of_the_files_grants_powers_and_what_a_run_asks_for_does_not(ops: Ops) -> None:
    causes = Causes(KEY.encode(), lambda _: False)
    mark = causes.token(Cause(depth=0, run_id="run_" + "0" * 16))
    asked = Client(ops.child.client.path, actor="ada", cause=mark)

    keys = {"title": "W", "prompt": "x", "writeEnabled": True}
    owner = ops("create", "writer", "--prompt", "x", "--set", "writeEnabled=true")
    with pytest.raises(AmodalError) as made:
        asked.post("/v1/automations", {"name": "w", "keys": keys})
    with pytest.raises(AmodalError) as changed:
        asked.post("/v1/automations/kept/update", {"keys": {"writeEnabled": True}})

    assert owner[0] == 0
    assert made.value.code == changed.value.code == "power_not_granted"
    with closing(sqlite3.connect(ops.child.state / "ledger.sqlite")) as ledger:
        rows = ledger.execute(
            "SELECT actor, door FROM audit WHERE action = 'automation.powers_denied'"
        ).fetchall()
    assert rows == [(f"run:run_{'0' * 16}", "run")] * 2


def test_from_afar_it_takes_a_token_that_may_manage(ops: Ops) -> None:
    def client(*scopes: str) -> TcpClient:
        name = "-".join(scopes)
        made = ops.child.client.post("/v1/tokens", {"name": name, "scopes": list(scopes)})
        return TcpClient(ops.child.url, token=str(made["secret"]))

    starter, manager = client("read", "trigger"), client("manage")
    body: dict[str, Any] = {"name": "far", "keys": {"title": "Far", "prompt": "x"}}
    codes: list[str] = []
    for asked in (
        lambda: starter.post("/v1/automations", body),
        lambda: starter.post("/v1/automations/kept/delete"),
        lambda: manager.post("/v1/automations/kept/update", {"keys": {"writeEnabled": True}}),
        lambda: manager.post("/v1/automations", {"name": "far"}),
        lambda: manager.post("/v1/automations", {"name": "far", "text": "{", "ending": ".txt"}),
    ):
        with pytest.raises(AmodalError) as caught:
            asked()
        codes.append(caught.value.code)
    made = manager.post("/v1/automations", body)
    gone = manager.post("/v1/automations/far/delete")

    assert codes == [*["scope_missing"] * 2, "power_not_granted", *["bad_body"] * 2]
    assert (made["name"], made["status"], gone["deleted"]) == ("far", "active", True)
