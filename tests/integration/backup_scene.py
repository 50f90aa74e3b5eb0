"""Ledgers that are backed up and put back."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import daemon_child
import older_ledger as older

from amodal_rt.clock import SystemClock
from amodal_rt.failpoints import VARIABLE
from amodal_rt.ids import SystemIds
from amodal_rt.storage.restore import Restored, restore


def filled(path: Path) -> Path:
    """A ledger with some of everything, closed."""

    async def make() -> None:
        async with older.opened(path) as ledger:
            await older.fill(ledger)

    path.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(make())
    return path


def put_back(source: Path, ledger: Path, *, cancel_pending: bool = False) -> Restored:
    clock = SystemClock()
    return asyncio.run(
        restore(
            source,
            ledger,
            clock=clock,
            ids=SystemIds(clock),
            caller=older.CALLER,
            cancel_pending=cancel_pending,
        )
    )


def whole(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything in the file, which must pass SQLite's own checks."""
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    return older.content(path, older.tables(path))


def cli(root: Path, *words: str, failpoints: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    environment = {**os.environ, VARIABLE: failpoints, "XDG_RUNTIME_DIR": str(root.parent)}
    return subprocess.run(
        [sys.executable, "-m", "amodal_rt", *words, "--workspace", str(root)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def workspace(tmp_path: Path) -> tuple[Path, Path]:
    """A workspace and its filled ledger."""
    root = tmp_path / "w"
    daemon_child.automation(root, "digest")
    return root, filled(root / ".amodal-rt" / "ledger.sqlite")


async def set_fact(path: Path, key: str) -> None:
    async with older.opened(path) as ledger:
        await ledger.set_fact(key, "x")
