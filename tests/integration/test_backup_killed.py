"""Backups and restores that are killed: whole, or not at all."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from backup_scene import cli, set_fact, whole, workspace

from amodal_rt.storage import backup

KILLED = -9


@pytest.mark.parametrize(
    ("failpoint", "restored"),
    [
        ("backup.before_copy", False),
        ("backup.after_copy", False),
        ("ledger.before_commit", False),
        ("ledger.after_commit:2", False),
        ("restore.before_promise", False),
        ("restore.after_promise", True),
        ("restore.before_aside", True),
        ("restore.after_aside", True),
        ("restore.after_aside:2", True),
        ("restore.before_rename", True),
        ("restore.after_rename", True),
    ],
)
def test_a_restore_that_is_killed_has_happened_or_has_not(
    tmp_path: Path, failpoint: str, restored: bool
) -> None:
    root, ledger = workspace(tmp_path)
    backup.take(ledger, tmp_path / "b.db")
    asyncio.run(set_fact(ledger, "later"))
    # A reader keeps the log beside the ledger, as a daemon that was killed leaves it.
    with closing(sqlite3.connect(ledger)) as held:
        held.execute("SELECT COUNT(*) FROM runs").fetchone()
        asyncio.run(set_fact(ledger, "in the log"))
        log = Path(f"{ledger}-wal").read_bytes()
        main = ledger.read_bytes()
    ledger.write_bytes(main)
    Path(f"{ledger}-wal").write_bytes(log)

    done = cli(root, "restore", str(tmp_path / "b.db"), failpoints=f"{failpoint}=kill")

    assert done.returncode == KILLED, done.stderr
    asyncio.run(set_fact(ledger, "again"))
    facts = {row[0] for row in whole(ledger)["facts"]}
    assert ("later" in facts, "in the log" in facts) == (not restored, not restored)
    asides = [each for each in ledger.parent.glob("*.replaced-*") if each.suffix.endswith("Z")]
    assert len(asides) == int(restored)
    for each in asides:
        assert {"later", "in the log"} <= {row[0] for row in whole(each)["facts"]}
    again = cli(root, "restore", str(tmp_path / "b.db"), "--json")
    assert again.returncode == 0, again.stderr
    assert "again" not in {row[0] for row in whole(ledger)["facts"]}
    assert not list(ledger.parent.glob(".ledger*"))


@pytest.mark.parametrize(
    ("failpoint", "there"),
    [
        ("backup.before_copy", False),
        ("backup.after_copy", False),
        ("backup.before_rename", False),
        ("backup.after_rename", True),
    ],
)
def test_a_backup_that_is_killed_is_there_whole_or_not_at_all(
    tmp_path: Path, failpoint: str, there: bool
) -> None:
    root, ledger = workspace(tmp_path)
    target = tmp_path / "b.db"

    done = cli(root, "backup", str(target), failpoints=f"{failpoint}=kill")

    assert done.returncode == KILLED
    assert target.exists() == there
    if there:
        assert whole(target) == whole(ledger)
    assert cli(root, "backup", str(target), "--force").returncode == 0
    assert whole(target) == whole(ledger)


def test_a_backup_waits_for_the_restore_that_was_cut_off(tmp_path: Path) -> None:
    root, ledger = workspace(tmp_path)
    backup.take(ledger, tmp_path / "b.db")
    cli(root, "restore", str(tmp_path / "b.db"), failpoints="restore.after_promise=kill")

    done = cli(root, "backup", str(tmp_path / "c.db"), "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "restore_unfinished"
