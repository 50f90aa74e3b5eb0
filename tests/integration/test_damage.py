"""What must not happen to the ledger's file, and what follows when it did."""

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import daemon_child
import older_ledger as older
import pytest
from test_backup import cli, filled, whole, workspace

from amodal_rt.errors import AmodalError, InvalidError, UnavailableError
from amodal_rt.storage import backup


def spoil(ledger: Path, *trees: str) -> None:
    """Overwrite the first page of tables and indexes."""
    with closing(sqlite3.connect(ledger)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = raw.execute("PRAGMA page_size").fetchone()[0]
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        pages = [raw.execute(query, (tree,)).fetchone()[0] for tree in trees]
    with ledger.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(b"\x99" * size)


@pytest.mark.parametrize(
    "name", ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "ledger.sqlite.restored-9"]
)
@pytest.mark.parametrize("force", [False, True])
def test_a_backup_never_takes_the_place_of_the_ledger_or_of_what_stands_beside_it(
    tmp_path: Path, name: str, force: bool
) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    before = ledger.stat().st_ino

    with pytest.raises(InvalidError) as error:
        backup.take(ledger, tmp_path / name, force=force)

    assert error.value.code == "usage"
    assert ledger.stat().st_ino == before
    assert {each.name for each in tmp_path.iterdir()} == {"ledger.sqlite"}


def test_nor_does_it_under_another_name_of_the_ledger(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "state" / "ledger.sqlite")
    (tmp_path / "link.db").symlink_to(ledger)
    (tmp_path / "folder").symlink_to(ledger.parent)

    for target in (tmp_path / "link.db", tmp_path / "folder" / "ledger.sqlite-wal"):
        with pytest.raises(InvalidError):
            backup.take(ledger, target, force=True)

    assert whole(ledger)["runs"]


def test_nor_of_what_is_no_ordinary_file(tmp_path: Path) -> None:
    ledger = filled(tmp_path / "ledger.sqlite")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(InvalidError) as error:
        backup.take(ledger, pipe, force=True)

    assert "no ordinary file" in error.value.message
    assert pipe.is_fifo()


def test_the_command_keeps_out_of_the_state_folders_of_daemons(tmp_path: Path) -> None:
    root, ledger = workspace(tmp_path)
    other = filled(tmp_path / "other" / ".amodal-rt" / "ledger.sqlite")
    (other.parent / "daemon.lock").touch()

    for target in (ledger, ledger.with_name("b.db"), other, other.with_name("b.db")):
        before = target.stat().st_ino if target.exists() else None
        done = cli(root, "backup", str(target), "--force", "--json")

        assert done.returncode == 2, done.stdout
        assert json.loads(done.stdout)["error"]["code"] == "usage"
        assert (target.stat().st_ino if target.exists() else None) == before


def test_a_read_that_finds_damage_ends_all_writing(tmp_path: Path) -> None:
    path = filled(tmp_path / "ledger.sqlite")
    spoil(path, "runs_by_id")

    async def told() -> AmodalError:
        async with older.opened(path) as ledger:
            assert not ledger.broken
            with pytest.raises(UnavailableError):
                await ledger.find_run("run_runs")
            assert ledger.broken
            with pytest.raises(UnavailableError) as error:
                await ledger.set_fact("later", "x")
            return error.value

    error = asyncio.run(told())
    assert error.hint == "restore the ledger from a backup"
    assert "damaged" in error.message


def test_a_daemon_on_a_damaged_ledger_acknowledges_nothing_more_and_ends(tmp_path: Path) -> None:
    root = tmp_path / "w"
    daemon_child.automation(root, "hook", trigger="webhook")
    with daemon_child.daemon(root) as child:
        url = child.client.get("/v1/automations/hook")["webhook_url"]
        run = child.post(url)[1]["run_id"]
        child.finished(run)
    spoil(root / ".amodal-rt" / "ledger.sqlite", "events", "events_by_id")

    with daemon_child.daemon(root) as child:
        url = child.client.get("/v1/automations/hook")["webhook_url"]
        with pytest.raises(AmodalError):
            child.client.get("/v1/events")
        try:
            status = child.post(url)[0]
        except OSError:
            status = 0

        assert status in (0, 503)
        assert child.process.wait(daemon_child.PATIENCE) != 0
    assert "daemon.ledger_broken" in child.output
