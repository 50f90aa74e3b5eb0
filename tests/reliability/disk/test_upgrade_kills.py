"""A ledger of the version before, killed at every statement of its upgrade."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from figures import Figures
from integration import older_ledger as older

from amodal_rt.errors import AmodalError
from amodal_rt.failpoints import VARIABLE
from amodal_rt.storage.revision import SCRIPTS
from amodal_rt.storage.sqlite_file import SqliteFile

CHILD = Path(__file__).with_name("upgrade_child.py")


def revision_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
        return str(raw.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def test_a_kill_at_any_statement_leaves_the_old_version_or_the_new_one(
    scene: Path, figures: Figures
) -> None:
    columns = older.make_older(scene / "older")
    rows = older.content(scene / "older", columns)
    assert all(rows.values()), "every table has rows"

    done = subprocess.run(
        [sys.executable, str(CHILD), str(scene)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    killed = int(done.stdout)
    assert killed > 20
    before: set[str] = set()
    for nth in range(1, killed + 1):
        path = scene / f"{nth}.db"
        before.add(revision_of(path))
        assert older.content(path, columns) == rows, nth
        SqliteFile(path).open_writer().close()
        assert revision_of(path) == SCRIPTS.head
        assert older.content(path, columns) == rows, nth
        copy = scene / f"{nth}.db.before-0001"
        if copy.exists():
            assert revision_of(copy) == "0001"
            assert older.content(copy, columns) == rows
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        assert not list(scene.glob(f".{nth}.db*"))
    assert before == {"0001", SCRIPTS.head}
    figures.add("upgrade_kills", killed)


@pytest.mark.parametrize(
    "failpoint", ["before_copy_rename", "after_copy_rename", "before_commit", "after_commit"]
)
def test_a_kill_around_the_copy_and_the_commit_is_no_loss(scene: Path, failpoint: str) -> None:
    columns = older.make_older(scene / "ledger.sqlite")
    rows = older.content(scene / "ledger.sqlite", columns)
    script = (
        "import sys; from pathlib import Path\n"
        "from amodal_rt.storage.sqlite_file import SqliteFile\n"
        "SqliteFile(Path(sys.argv[1])).open_writer().close()"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(scene / "ledger.sqlite")],
        env={VARIABLE: f"upgrade.{failpoint}=kill"},
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == -9, done.stderr
    SqliteFile(scene / "ledger.sqlite").open_writer().close()
    assert revision_of(scene / "ledger.sqlite") == SCRIPTS.head
    assert older.content(scene / "ledger.sqlite", columns) == rows
    assert older.content(scene / "ledger.sqlite.before-0001", columns) == rows


def test_an_older_binary_refuses_a_newer_ledger_with_an_exit_status(scene: Path) -> None:
    root = scene / "w"
    (root / "automations").mkdir(parents=True)
    state = root / ".amodal-rt"
    state.mkdir()

    async def make() -> None:
        async with older.opened(state / "ledger.sqlite") as ledger:
            await ledger.set_fact("kept", "x")

    asyncio.run(make())
    with closing(sqlite3.connect(state / "ledger.sqlite")) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
    content = (state / "ledger.sqlite").read_bytes()

    done = subprocess.run(
        [sys.executable, "-m", "amodal_rt", "up", "--workspace", str(root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1
    assert "newer version" in done.stderr
    assert "hint: install the version that wrote it" in done.stderr
    assert (state / "ledger.sqlite").read_bytes() == content


def test_a_disk_without_room_for_the_copy_leaves_the_old_ledger_alone(scene: Path) -> None:
    columns = older.make_older(scene / "ledger.sqlite")
    rows = older.content(scene / "ledger.sqlite", columns)
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from amodal_rt.errors import AmodalError\n"
        "from amodal_rt.storage.sqlite_file import SqliteFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n    SqliteFile(Path(sys.argv[1])).open_writer()\n"
        "except AmodalError as error:\n    print(error.code)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script, str(scene / "ledger.sqlite")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stdout == "ledger\n", done.stderr
    assert revision_of(scene / "ledger.sqlite") == "0001"
    assert older.content(scene / "ledger.sqlite", columns) == rows
    assert not [each for each in scene.iterdir() if "before" in each.name]


def test_a_newer_ledger_is_refused_by_the_file_itself(scene: Path) -> None:
    older.make_older(scene / "ledger.sqlite")
    with closing(sqlite3.connect(scene / "ledger.sqlite")) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()

    with pytest.raises(AmodalError) as error:
        SqliteFile(scene / "ledger.sqlite").open_writer()

    assert error.value.code == "ledger_newer"
