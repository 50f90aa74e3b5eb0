"""Which version of the tables a file has, and how it gets this one."""

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from amodal_rt import failpoints
from amodal_rt.errors import ConflictError
from amodal_rt.storage.dialect import driver, sqlite_driver
from amodal_rt.storage.filesystem import make_private, sync_file, sync_folder
from amodal_rt.storage.tables import metadata


@dataclass(frozen=True, slots=True)
class Scripts:
    """A folder of alembic revisions and the newest of them."""

    folder: Path
    head: str


SCRIPTS = Scripts(Path(__file__).parent / "migrations", "0010")

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
    raw = sqlite_driver(connection)
    found = stored(raw)
    if found == scripts.head:
        return
    if found is None:
        if _tables(raw):
            raise foreign(path)
        create(connection, scripts.head)
        return
    require_known(found, scripts)
    _keep_copy(raw, path.with_name(f"{path.name}.before-{found}"))
    _upgrade(connection, scripts)


def require_ours(path: Path, scripts: Scripts = SCRIPTS) -> None:
    """Refuse what `bring_up_to_date` would, before a byte of the file is changed.

    It is opened to be read and no more: already to ask for a journal mode would write into it.
    What cannot be read so is left to whoever opens it for writing, and says why.
    """
    if not path.is_file():
        return
    with suppress(sqlite3.Error), closing(open_to_read(path)) as raw:
        found = stored(raw)
        if found is None and _tables(raw):
            raise foreign(path)
        if found is not None:
            require_known(found, scripts)


def open_to_read(path: Path) -> sqlite3.Connection:
    """A connection to the file there, through which no byte of it or beside it changes."""
    logs = (path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-journal"))
    # Beside a file without a log even a reader would leave an empty one behind.
    how = "mode=ro" if any(each.exists() for each in logs) else "immutable=1"
    address = f"{path.absolute().as_uri()}?{how}"
    return sqlite3.connect(address, uri=True, isolation_level=None)


def bring_copy_up_to_date(path: Path, scripts: Scripts = SCRIPTS) -> None:
    """The same for a copy of a ledger that nobody uses: the original is kept elsewhere.

    Raises ConflictError as `bring_up_to_date` does.
    """

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, isolation_level=None)

    engine = create_engine(
        "sqlite+pysqlite://", creator=connect, poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    with closing(engine.connect()) as connection:
        found = stored(sqlite_driver(connection))
        if found is None:
            raise foreign(path)
        if found != scripts.head:
            require_known(found, scripts)
            _upgrade(connection, scripts)


def create(connection: Connection, head: str) -> None:
    """Make the newest tables in an empty file: what all revisions together make."""
    raw = sqlite_driver(connection)
    raw.execute("BEGIN IMMEDIATE")
    make_tables(connection, head)
    failpoints.hit("create.before_commit")
    raw.execute("COMMIT")
    failpoints.hit("create.after_commit")


def make_tables(connection: Connection, head: str) -> None:
    """Make the newest tables in an empty database, within a transaction."""
    raw = driver(connection)
    metadata.create_all(connection, checkfirst=False)
    raw.execute(_VERSION_TABLE)
    raw.execute("INSERT INTO alembic_version (version_num) VALUES (?)", (head,))


def stored(raw: sqlite3.Connection) -> str | None:
    """The revision of an open file; None when it is no ledger."""
    if "alembic_version" not in _tables(raw):
        return None
    row = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def foreign(path: Path) -> ConflictError:
    """The refusal of somebody else's database."""
    return ConflictError(
        f"{path} is a database, but not a ledger",
        code="ledger_foreign",
        hint="choose another state folder",
    )


def require_known(found: str, scripts: Scripts) -> None:
    """Raise ConflictError (`ledger_newer`) for a revision that `scripts` does not know."""
    if found == scripts.head:
        return
    # Alembic takes a quarter of a second to import and is needed once per version.
    from amodal_rt.storage import upgrade  # noqa: PLC0415

    if found not in upgrade.known_revisions(scripts.folder):
        raise ConflictError(
            f"the ledger was written by a newer version (its tables are {found})",
            code="ledger_newer",
            hint="install the version that wrote it, or restore a backup made before it",
        )


def _upgrade(connection: Connection, scripts: Scripts) -> None:
    from amodal_rt.storage import upgrade  # noqa: PLC0415

    upgrade.upgrade(connection, scripts.folder, scripts.head)


def _tables(raw: sqlite3.Connection) -> set[str]:
    return {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def _keep_copy(raw: sqlite3.Connection, target: Path) -> None:
    """Copy the open file to `target`; there whole, private and durable, or not at all."""
    draft = target.with_name(f".{target.name}")
    draft.unlink(missing_ok=True)
    make_private(draft)
    try:
        with closing(sqlite3.connect(draft, isolation_level=None)) as copy:
            raw.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
        sync_file(draft)
        failpoints.hit("upgrade.before_copy_rename")
        draft.replace(target)
        failpoints.hit("upgrade.after_copy_rename")
        sync_folder(target.parent)
    finally:
        draft.unlink(missing_ok=True)
