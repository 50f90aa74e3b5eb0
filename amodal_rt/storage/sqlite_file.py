"""The ledger's file: made private, opened, brought up to date."""

import os
import sqlite3
from pathlib import Path

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from amodal_rt.domain.chain import linked_text
from amodal_rt.errors import AmodalError
from amodal_rt.storage import backup, faults, filesystem, revision
from amodal_rt.storage.dialect import sqlite_driver
from amodal_rt.storage.session import Fate

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # An acknowledged event survives a power cut: the group commit pays for the sync.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
    # A commit that brings the log to this many pages writes all of them to the file and syncs
    # twice more, while everybody waits: at the usual 1000, one commit of thirty in a burst, and
    # each of those that put ten thousand slots on record.
    "PRAGMA wal_autocheckpoint = 4000",
)


class SqliteFile:
    """Sessions on one file, which the first writer makes if it is missing."""

    def __init__(self, path: Path, kind_of: filesystem.KindOf | None = None) -> None:
        self._path = path
        self._kind_of = kind_of
        self._engine = create_engine(
            "sqlite+pysqlite://",
            creator=self._connect_driver,
            poolclass=NullPool,
            # The driver would open transactions at moments of its own choice.
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
        )

    def open_writer(self) -> "SqliteSession":
        """As `session.Source` promises."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            filesystem.require_local(self._path.parent, self._kind_of)
            # A restore that was decided on and cut off ends here.
            backup.keep_promise(self._path)
            revision.require_ours(self._path)
            _make_private(self._path)
            connection = self._engine.connect()
        except Exception as error:  # noqa: BLE001  raised again in our words
            raise faults.translated(error) from None
        try:
            revision.bring_up_to_date(connection, self._path)
        except Exception as error:  # noqa: BLE001  raised again in our words
            sqlite_driver(connection).rollback()
            connection.close()
            raise faults.translated(error) from None
        return SqliteSession(connection, "BEGIN IMMEDIATE")

    def open_reader(self) -> "SqliteSession":
        """As `session.Source` promises."""
        try:
            connection = self._engine.connect()
            sqlite_driver(connection).execute("PRAGMA query_only = ON")
        except Exception as error:  # noqa: BLE001  raised again in our words
            raise faults.translated(error) from None
        return SqliteSession(connection, "BEGIN")

    def _connect_driver(self) -> sqlite3.Connection:
        # Each connection is used by one thread at a time, though not by the one that made it.
        raw = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            for pragma in _PRAGMAS:
                raw.execute(pragma)
            raw.create_function("linked", 1, linked_text, deterministic=True)
        except sqlite3.Error:
            raw.close()
            raise
        return raw


class SqliteSession:
    """A connection to the file. The file is never away: it can be used, or it is broken."""

    away = False

    def __init__(self, connection: Connection, begin: str) -> None:
        self.connection = connection
        self._raw = sqlite_driver(connection)
        self._begin = begin
        self._changes = 0

    def begin(self) -> None:
        """As `session.Session` promises, like all that follow."""
        self._changes = self._raw.total_changes
        self._raw.execute(self._begin)

    def has_written(self) -> bool:
        """Counts rows that were changed and changed back too."""
        return self._raw.total_changes != self._changes

    def commit(self) -> None:
        """Returns after the sync of the disk."""
        self._raw.execute("COMMIT")

    def end(self) -> None:
        """Has no effect outside a transaction."""
        self._raw.rollback()

    def undo(self, error: BaseException, *, committing: bool) -> Fate:
        """After a failed sync nobody knows what the disk holds."""
        beyond = faults.is_beyond_trust(error) or (committing and not faults.is_passing(error))
        try:
            self._raw.rollback()
        except sqlite3.Error:
            beyond = True
        return Fate.BROKEN if beyond else Fate.AGAIN

    def is_spoilt(self, error: BaseException) -> bool:
        """SQLite itself rolls a whole transaction back on some errors."""
        return faults.is_beyond_trust(error) or not self._raw.in_transaction

    def is_lost(self, error: BaseException) -> bool:
        """A file is not cut off."""
        return False

    def translated(self, error: BaseException) -> BaseException:
        """By SQLite's result code."""
        return faults.translated(error)

    def refusal(self) -> AmodalError:
        """Nobody is told so: a file is never away."""
        return faults.unavailable("away")

    def revive(self) -> bool:
        """There is nothing to revive."""
        return True

    def pause(self) -> float | None:
        """Nothing to wait for."""
        return None

    def cut(self) -> None:
        """A slow disk is waited for."""

    def close(self) -> None:
        """The file stays."""
        self.connection.close()


def _make_private(path: Path) -> None:
    """The file for this user alone, whatever the umask; SQLite gives its
    side files the mode of the main one."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
