"""`amodal-rt doctor` finds what would keep a workspace from working, and changes nothing."""

import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import backup_scene
import daemon_child
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import postgres_server

WELL = {
    "listen": "127.0.0.1:0",
    "alerts": {
        "targets": [{"type": "webhook", "url": "https://ops.example/in", "label": "ops"}],
        "heartbeatUrl": "https://beat.example/x",
    },
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with nothing to find, but that nobody serves it."""
    folder = tmp_path / "w"
    daemon_child.automation(folder, "digest")
    daemon_child.write(folder, "amodal.json", WELL)
    return folder


def doctor(root: Path, **variables: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and level and words by check; of several, the worst."""
    done = subprocess.run(
        [sys.executable, "-m", "amodal_rt", "doctor", "--json", "--workspace", str(root)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(root.parent), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["well"] == (done.returncode == 0)
    order = ("ok", "warning", "wrong")
    found = sorted(document["findings"], key=lambda each: order.index(each["level"]))
    return done.returncode, {each["check"]: (each["level"], each["said"]) for each in found}


def test_where_nothing_is_wrong_it_says_what_it_looked_at_and_makes_nothing(root: Path) -> None:
    code, found = doctor(root)

    assert code == 0
    assert {name for name, (level, _) in found.items() if level != "ok"} == {"daemon"}
    assert {"files", "state", "disk", "ledger", "listen"} <= found.keys()
    assert not (root / ".amodal-rt").exists()


def test_a_daemon_that_serves_it_is_asked_how_it_is(root: Path) -> None:
    with daemon_child.daemon(root) as child:
        code, found = doctor(root)

        assert code == 0
        assert found["daemon"] == ("ok", f"pid {child.process.pid} is ready")
        assert found["ledger"][0] == "ok"


def test_files_variables_and_who_is_told(root: Path) -> None:
    daemon_child.automation(root, "broken", promt="x")
    daemon_child.automation(root, "hook", trigger="webhook")
    target = {"type": "webhook", "url": "env:NOT_SET_HERE", "label": "x"}
    daemon_child.automation(root, "told", delivery={"targets": [target]})
    daemon_child.write(root, "amodal.json", {"listen": "0.0.0.0:0"})

    code, found = doctor(root)

    assert code == 1
    assert found["files"][0] == "wrong"
    assert "automations/broken.json:" in found["files"][1]
    assert found["variables"] == ("warning", "1 not set that are needed by automations/told.json")
    assert found["webhooks"] == ("warning", "whoever learns its URL may start hook")
    assert {found["alerts"][0], found["heartbeat"][0]} == {"warning"}


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "newer"),
        ("DROP TABLE alembic_version", "not a ledger"),
    ],
)
def test_a_ledger_that_cannot_be_served_is_named_and_left_as_it_is(
    root: Path, harm: str, said: str
) -> None:
    ledger = backup_scene.filled(root / ".amodal-rt" / "ledger.sqlite")
    with closing(sqlite3.connect(ledger)) as raw:
        raw.execute(harm)
        raw.commit()
    before = hashlib.sha256(ledger.read_bytes()).digest()

    code, found = doctor(root)

    assert code == 1
    assert found["ledger"][0] == "wrong"
    assert said in found["ledger"][1]
    assert hashlib.sha256(ledger.read_bytes()).digest() == before


def test_a_damaged_ledger_is_found_before_anybody_starts_on_it(root: Path) -> None:
    ledger = backup_scene.filled(root / ".amodal-rt" / "ledger.sqlite")
    with ledger.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096 * 4)

    code, found = doctor(root)

    assert (code, found["ledger"][0]) == (1, "wrong")
    assert "damaged" in found["ledger"][1]


def test_an_address_that_somebody_has_is_said(root: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, found = doctor(root, AMODAL_RT_LISTEN=f"127.0.0.1:{port}")

    assert (code, found["listen"]) == (1, ("wrong", f"127.0.0.1:{port}: address already in use"))


def test_a_sandbox_that_cannot_be_had_is_said_only_where_one_is_needed(
    root: Path, tmp_path: Path
) -> None:
    nothing = tmp_path / "empty"
    nothing.mkdir()
    _, without = doctor(root, PATH=str(nothing))
    daemon_child.write(root, "profiles/build/1.json", {})

    code, found = doctor(root, PATH=str(nothing))

    assert "sandbox" not in without
    assert (code, found["sandbox"]) == (1, ("wrong", "bubblewrap is not installed"))


def test_a_database_is_reached_or_it_is_said_why_not(root: Path) -> None:
    daemon_child.write(root, "amodal.json", WELL | {"database": "env:DATABASE_URL"})
    _, away = doctor(root, DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    with postgres_server.fresh_ledger() as url:
        code, found = doctor(root, DATABASE_URL=url)

    assert away["ledger"][0] == "wrong"
    assert code == 0
    assert found["ledger"][1].startswith("PostgreSQL, ")
