"""A change of the ledger and its row in the audit trail are there together, or neither is."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import acts_scene as scene
import older_ledger as older
import pytest

from amodal_rt import failpoints


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same ledger for each verb."""
    asyncio.run(_make(tmp_path / "made.sqlite"))
    for name in scene.VERBS:
        shutil.copy(tmp_path / "made.sqlite", tmp_path / f"{name}.sqlite")
    return tmp_path


async def _make(path: Path) -> None:
    async with older.opened(path) as ledger:
        await scene.prepare(ledger)


def _kill_each(folder: Path, place: str) -> None:
    """Do each verb in a process that is killed at its first commit."""
    done = subprocess.run(
        [sys.executable, str(Path(scene.__file__)), str(folder)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            failpoints.VARIABLE: f"{place}=kill",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    killed = [f"{name} {-signal.SIGKILL}" for name in scene.VERBS]
    assert done.stdout.splitlines() == killed, done.stderr


def _content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint")
    return older.content(path, older.tables(path))


def test_killed_before_the_commit_neither_is_there(folder: Path) -> None:
    before = _content(folder / "made.sqlite")

    _kill_each(folder, "ledger.before_commit")

    left = {name: _content(folder / f"{name}.sqlite") for name in scene.VERBS}
    assert [name for name, content in left.items() if content != before] == []


def test_killed_after_the_commit_both_are_there(folder: Path) -> None:
    before = _content(folder / "made.sqlite")

    _kill_each(folder, "ledger.after_commit")

    for name, (action, subject, _) in scene.VERBS.items():
        after = _content(folder / f"{name}.sqlite")
        (row,) = [each for each in after["audit"] if each not in before["audit"]]
        assert row[2:6] == (action, subject, "ada", "cli"), name
        changed = {table for table in before if table != "audit" and after[table] != before[table]}
        assert changed, name
