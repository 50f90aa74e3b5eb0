"""Which version of the tables a file has, and how it gets this one."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from amodal_rt.errors import ConflictError
from amodal_rt.storage.tables import metadata
from amodal_rt.storage.writer import driver


@dataclass(frozen=True, slots=True)
class Scripts:
    """A folder of alembic revisions and the newest of them."""

    folder: Path
    head: str


SCRIPTS = Scripts(Path(__file__).parent / "migrations", "0002")

# Word for word what alembic makes, so that a new file and an upgraded one are alike.
_VERSION_TABLE = """
CREATE TABLE alembic_version (
\tversion_num VARCHAR(32) NOT NULL,
\tCONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
)
"""


def bring_up_to_date(connection: Connection, path: Path, scripts: Scripts = SCRIPTS) -> None:
    """Give the file at `path` the tables of `scripts.head`, in one transaction.

    A ledger that is not new is copied first, to `<name>.before-<its revision>`. Raises
    ConflictError: `ledger_newer` for a revision that `scripts` does not know,
    `ledger_foreign` for tables that are not ours.
    """
    raw = driver(connection)
    found = _stored(raw)
    if found == scripts.head:
        return
    if found is None:
        if _tables(raw):
            raise ConflictError(
                f"{path} is a database, but not a ledger",
                code="ledger_foreign",
                hint="choose another state folder",
            )
        create(connection, scripts.head)
        return
    # Alembic takes a quarter of a second to import and is needed once per version.
    from amodal_rt.storage import upgrade  # noqa: PLC0415

    if found not in upgrade.known_revisions(scripts.folder):
        raise ConflictError(
            f"the ledger was written by a newer version (its tables are {found})",
            code="ledger_newer",
            hint="install the version that wrote it, or restore a backup made before it",
        )
    _keep_copy(raw, path.with_name(f"{path.name}.before-{found}"))
    upgrade.upgrade(connection, scripts.folder, scripts.head)


def create(connection: Connection, head: str) -> None:
    """Make the newest tables in an empty file: what all revisions together make."""
    raw = driver(connection)
    raw.execute("BEGIN IMMEDIATE")
    metadata.create_all(connection, checkfirst=False)
    raw.execute(_VERSION_TABLE)
    raw.execute("INSERT INTO alembic_version (version_num) VALUES (?)", (head,))
    raw.execute("COMMIT")


def _stored(raw: sqlite3.Connection) -> str | None:
    if "alembic_version" not in _tables(raw):
        return None
    row = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def _tables(raw: sqlite3.Connection) -> set[str]:
    return {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _keep_copy(raw: sqlite3.Connection, target: Path) -> None:
    target.unlink(missing_ok=True)
    target.touch(mode=0o600, exist_ok=False)
    with closing(sqlite3.connect(target)) as copy:
        raw.backup(copy)
