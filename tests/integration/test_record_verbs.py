"""`amodal-rt audit`: over the ledger itself, with and without a daemon, and over TCP."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import older_ledger as older
import pytest
import record_scene as scene
from api_house import api_house
from older_ledger import CALLER, NOW

from amodal_rt.cli.app import run
from amodal_rt.storage.filesystem import LEDGER_FILE

TCP = ("AMODAL_RT_URL", "AMODAL_RT_STATE_DIR", "AMODAL_RT_WORKSPACE")


@pytest.fixture(autouse=True)
def nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TCP:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace without a daemon, whose record `record_scene` made."""
    (tmp_path / "automations").mkdir()
    asyncio.run(_fill(path_of(tmp_path)))
    return tmp_path


async def _fill(path: Path) -> None:
    async with older.opened(path) as ledger:
        await scene.fill(ledger)


def path_of(root: Path) -> Path:
    return root / ".amodal-rt" / LEDGER_FILE


class Asked:
    """What a command printed and how it ended."""

    def __init__(self, capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> None:
        self.code = run(["audit", *words, "--workspace", str(root)], program="amodal-rt")
        self.said = capsys.readouterr()

    @property
    def document(self) -> Any:
        return json.loads(self.said.out)


def test_without_a_daemon_the_record_is_checked_and_nothing_of_it_changed(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {each: each.read_bytes() for each in path_of(workspace).parent.iterdir()}

    asked = Asked(capsys, workspace, "verify", "--json")

    assert asked.code == 0
    head = asked.document.pop("head")
    assert asked.document | {"head": None} == {
        "valid": True,
        "head": None,
        "head_compared": False,
        "trail": {"rows": 3, "before_the_chain": 0},
        "runs": {"sealed": 3, "open": 1, "forgotten": 0, "before_the_chain": 0},
        "deliveries": {"sealed": 0},
        "journal": {"entries": 19},
        "wrong": 0,
        "misfits": [],
    }
    again = Asked(capsys, workspace, "verify", "--head", head)
    assert again.code == 0
    assert "the head that was kept is in it" in again.said.out
    assert {each: each.read_bytes() for each in path_of(workspace).parent.iterdir()} == before


def test_beside_whoever_writes_the_record_is_checked(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(path_of(workspace))) as daemon:
        daemon.execute("CREATE TABLE beside (a)")
        daemon.execute("BEGIN IMMEDIATE")

        asked = Asked(capsys, workspace, "verify")

    assert asked.code == 0
    assert "every row stands as it was written" in asked.said.out


def test_what_was_changed_is_named_and_the_exit_code_is_1(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = Asked(capsys, workspace, "verify", "--json").document["head"]
    with closing(sqlite3.connect(path_of(workspace), isolation_level=None)) as raw:
        raw.execute("UPDATE journal SET data = '{}' WHERE run_id = 'run_2' AND sequence = 3")
        raw.execute("DELETE FROM audit WHERE number = 3")

    told = Asked(capsys, workspace, "verify", "--head", head)
    asked = Asked(capsys, workspace, "verify", "--head", head, "--json")

    assert (told.code, asked.code) == (1, 1)
    assert [(each["table"], each["id"], each["run_id"]) for each in asked.document["misfits"]] == [
        ("audit", "2", None),
        ("journal", "run_2#3", "run_2"),
    ]
    assert "audit 2: the end is cut off: the head names the place 3" in told.said.out
    assert "journal run_2#3 (of run_2)" in told.said.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("verify", "--head", "12:ab"), 2, "bad_head"),
        (("list", "--since", "yesterday"), 2, "bad_instant"),
    ],
)
def test_what_is_asked_wrong_is_a_usage_error(
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    asked = Asked(capsys, workspace, *words, "--json")

    assert (asked.code, asked.document["error"]["code"]) == (code, said)


def test_what_is_no_record_is_said_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "automations").mkdir()
    assert Asked(capsys, tmp_path, "verify").code == 4
    path = path_of(tmp_path)
    path.parent.mkdir()
    older.make_older(path, "0006", finished=2)

    asked = Asked(capsys, tmp_path, "verify", "--json")

    assert (asked.code, asked.document["error"]["code"]) == (1, "ledger_older")


def test_what_is_older_than_the_chain_is_said_to_be_unproven_and_cannot_grow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "automations").mkdir()
    path = path_of(tmp_path)
    path.parent.mkdir()
    older.make_older(path, "0006", finished=2)
    asyncio.run(_go_on(path))

    asked = Asked(capsys, tmp_path, "verify", "--json")
    told = Asked(capsys, tmp_path, "verify")

    found = asked.document
    assert (asked.code, found["wrong"]) == (0, 0)
    assert found["trail"] == {"rows": 3, "before_the_chain": 2}
    # One of them began before, and ended with a seal.
    assert found["runs"] == {"sealed": 1, "open": 1, "forgotten": 0, "before_the_chain": 2}
    assert "from before the chain began, unproven: 2 acts, 2 runs" in told.said.out
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute(
            "INSERT INTO audit (number, at, action, subject, actor, door, data)"
            " VALUES (-5, 1, 'a', 's', 'bob', 'cli', '{}')"
        )
    assert Asked(capsys, tmp_path, "verify").code == 1


async def _go_on(path: Path) -> None:
    """What an upgraded ledger goes on with: a run ends that was running, and ada looks at it."""
    async with older.opened(path) as ledger:
        await ledger.cancel("run_waits", caller=CALLER, at=NOW)
        await ledger.audit("run.looked_at", subject="run_waits", caller=CALLER, at=NOW, data={})


def test_the_trail_is_listed_for_people_and_for_programs(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Asked(capsys, workspace, "list")
    of_run = Asked(capsys, workspace, "list", "--run", "run_2", "--json").document

    assert "write.started" in shown.said.out
    assert "POST /deals/1" in shown.said.out
    assert [each["action"] for each in of_run] == ["run.looked_at", *["write.started"] * 4]
    assert of_run[0] == {
        "at": "2026-03-02T09:00:00Z",
        "action": "run.looked_at",
        "subject": "run_2",
        "actor": "ada",
        "door": "cli",
        "run_id": "run_2",
        "automation": None,
        "step": None,
        "data": {},
    }
    assert of_run[1]["step"] == "call_3"
    assert (of_run[1]["actor"], of_run[1]["door"]) == ("digest", "run")


async def test_over_tcp_who_reads_may_list_and_who_manages_may_check(tmp_path: Path) -> None:
    async with api_house(tmp_path) as api:
        reads, manages = await api.secret("read", name="r"), await api.secret("manage", name="m")

        listed = await api.ask(reads, "GET", "/v1/audit?limit=1")
        refused = await api.ask(reads, "POST", "/v1/audit/verify", {})
        status, found = await api.ask(manages, "POST", "/v1/audit/verify", {})
        kept = await api.ask(manages, "POST", "/v1/audit/verify", {"head": found["head"]})

    assert (listed[0], [each["action"] for each in listed[1]]) == (200, ["token.created"])
    assert refused[0] == 403
    assert (status, found["valid"], found["trail"]["rows"]) == (200, True, 2)
    assert (kept[1]["valid"], kept[1]["head_compared"]) == (True, True)
