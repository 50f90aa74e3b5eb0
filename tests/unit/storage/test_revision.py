"""Files of every age: made, brought up to date, refused."""

import asyncio
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from amodal_rt.clock import SystemClock
from amodal_rt.errors import ConflictError
from amodal_rt.storage import revision, upgrade
from amodal_rt.storage.revision import SCRIPTS, Scripts
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.storage.sqlite_file import SqliteFile
from amodal_rt.storage.tables import metadata

LATER = '''
"""A later revision."""
import sqlalchemy as sa
from alembic import op

revision = "later"
down_revision = "{head}"


def upgrade() -> None:
    op.create_table("later", sa.Column("a", sa.Integer(), primary_key=True))
    {then}
'''


def schema(path: Path) -> dict[str, str]:
    """Every table and index as the file itself says it, but for white space and quotes."""
    with closing(sqlite3.connect(path)) as raw:
        rows = raw.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: " ".join(sql.replace('"', "").split()) for name, sql in rows}


def make_by_revisions(path: Path) -> None:
    file = SqliteFile(path)
    with closing(file._engine.connect()) as connection:
        upgrade.upgrade(connection, SCRIPTS.folder, SCRIPTS.head)


def later(tmp_path: Path, then: str = "pass") -> Scripts:
    """Our revisions and one more."""
    folder = tmp_path / "migrations"
    shutil.copytree(SCRIPTS.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = LATER.format(head=SCRIPTS.head, then=then)
    (folder / "versions" / "later.py").write_text(text)
    return Scripts(folder, "later")


def bring_up(path: Path, scripts: Scripts) -> None:
    file = SqliteFile(path)
    with closing(file._engine.connect()) as connection:
        try:
            revision.bring_up_to_date(connection, path, scripts)
        finally:
            connection.connection.rollback()


async def make(path: Path) -> None:
    async with SqliteLedger(path, clock=SystemClock()) as ledger:
        await ledger.set_fact("kept", "yes")


async def test_a_new_file_and_one_made_by_all_revisions_are_alike(tmp_path: Path) -> None:
    await make(tmp_path / "new.db")
    make_by_revisions(tmp_path / "revised.db")

    assert schema(tmp_path / "new.db") == schema(tmp_path / "revised.db")
    assert set(metadata.tables) < set(schema(tmp_path / "new.db"))


def test_alembic_finds_nothing_to_change_after_all_revisions(tmp_path: Path) -> None:
    path = tmp_path / "revised.db"
    make_by_revisions(path)

    file = SqliteFile(path)
    with closing(file._engine.connect()) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_the_newest_revision_is_the_one_we_expect() -> None:
    assert ScriptDirectory(str(SCRIPTS.folder)).get_heads() == [SCRIPTS.head]


def test_a_current_ledger_opens_without_alembic(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path\n"
        "from amodal_rt.clock import SystemClock\n"
        "from amodal_rt.storage.sqlite import SqliteLedger\n"
        "async def main():\n"
        "    for _ in range(2):\n"
        "        async with SqliteLedger(Path(sys.argv[1]), clock=SystemClock()): pass\n"
        "asyncio.run(main()); print('alembic' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "ledger.db")],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "False\n"


def files(folder: Path) -> dict[str, bytes]:
    """Every file but what SQLite keeps in memory through a file."""
    return {
        each.name: each.read_bytes()
        for each in sorted(folder.iterdir())
        if not each.name.endswith("-shm")
    }


async def refused(path: Path) -> ConflictError:
    with pytest.raises(ConflictError) as error:
        await SqliteLedger(path, clock=SystemClock()).open()
    return error.value


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
async def test_a_newer_ledger_is_refused_and_not_a_byte_of_it_changed(
    tmp_path: Path, mode: str
) -> None:
    path = tmp_path / "ledger.db"
    await make(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
        raw.execute(f"PRAGMA journal_mode = {mode}")
    before = files(tmp_path)

    error = await refused(path)

    assert error.code == "ledger_newer"
    assert "9999" in error.message
    assert files(tmp_path) == before


async def test_a_newer_ledger_whose_log_was_left_behind_keeps_both_as_they_are(
    tmp_path: Path,
) -> None:
    """Only the log says that it is newer: a daemon was killed, and an older one started."""
    path, left = tmp_path / "ledger.db", tmp_path / "left"
    await make(path)
    left.mkdir()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / f"ledger.db{suffix}", left)
    before = files(left)

    error = await refused(left / path.name)

    assert error.code == "ledger_newer"
    assert len(before) == 2
    assert files(left) == before


async def test_the_database_of_another_program_is_refused_and_not_a_byte_of_it_changed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE theirs (a)")
    before = files(tmp_path)

    error = await refused(path)

    assert error.code == "ledger_foreign"
    assert files(tmp_path) == before


async def test_an_older_ledger_is_copied_and_then_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    await make(path)
    old = schema(path)

    bring_up(path, later(tmp_path))

    assert set(schema(path)) - set(old) == {"later"}
    copy = tmp_path / f"ledger.db.before-{SCRIPTS.head}"
    assert schema(copy) == old
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    for each, version in ((path, "later"), (copy, SCRIPTS.head)):
        with closing(sqlite3.connect(each)) as raw:
            assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [(version,)]
            assert raw.execute("SELECT value FROM facts").fetchall() == [("yes",)]


async def test_a_revision_that_fails_leaves_the_old_version_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    await make(path)
    old = schema(path)

    with pytest.raises(ZeroDivisionError):
        bring_up(path, later(tmp_path, then="1 / 0"))

    assert schema(path) == old
    async with SqliteLedger(path, clock=SystemClock()) as ledger:
        assert await ledger.fact("kept") == "yes"


async def test_a_kill_within_a_revision_leaves_the_old_version_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    await make(path)
    old = schema(path)
    scripts = later(tmp_path, then="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    script = (
        "import sys; from pathlib import Path\n"
        "from amodal_rt.storage import revision\n"
        "from amodal_rt.storage.sqlite_file import SqliteFile\n"
        "path = Path(sys.argv[1]); connection = SqliteFile(path)._engine.connect()\n"
        "scripts = revision.Scripts(Path(sys.argv[2]), 'later')\n"
        "revision.bring_up_to_date(connection, path, scripts)"
    )

    command = [sys.executable, "-c", script, str(path), str(scripts.folder)]
    done = await asyncio.to_thread(subprocess.run, command, check=False)

    assert done.returncode == -9
    assert schema(path) == old
    async with SqliteLedger(path, clock=SystemClock()) as ledger:
        assert await ledger.fact("kept") == "yes"
