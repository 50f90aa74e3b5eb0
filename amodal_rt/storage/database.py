"""The ledger's file: made private, opened, brought up to date, read and written."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import NullPool

from amodal_rt.storage import backup, faults, revision
from amodal_rt.storage.readers import Readers
from amodal_rt.storage.writer import Together, Writer, driver

T = TypeVar("T")
Item = TypeVar("Item")

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # An acknowledged event survives a power cut: the group commit pays for the sync.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
)


class Database:
    """One writer and a few readers of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine = create_engine(
            "sqlite+pysqlite://",
            creator=self._connect_driver,
            poolclass=NullPool,
            # The driver would open transactions at moments of its own choice.
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
        )
        self._writer: Writer | None = None
        self._readers: Readers | None = None

    @property
    def broken(self) -> bool:
        """Whether a commit failed in a way that leaves unknown what the disk holds."""
        return self._writer is not None and self._writer.broken

    async def open(self) -> None:
        """Make or open the file and bring its tables up to date.

        Raises ConflictError (`ledger_newer`, `ledger_foreign`) or UnavailableError (`ledger`).
        """
        connection = await asyncio.to_thread(self._prepare)
        self._writer = Writer(connection)
        self._writer.start()
        self._readers = Readers(self._engine.connect)

    async def close(self) -> None:
        """Commit what was queued and let go of the file."""
        readers, writer = self._readers, self._writer
        self._readers = self._writer = None
        if readers is not None:
            await readers.close()
        if writer is not None:
            await writer.close()

    async def write(self, work: Callable[[Connection], T]) -> T:
        """The value of `work`, durable. `work` may be run more than once (see `Writer`)."""
        if self._writer is None:
            raise faults.unavailable("closed")
        return await self._writer.submit(work)

    async def write_together(self, together: Together[Item, T], item: Item) -> T:
        """What `together` makes of `item`, durable; `together` may be run more than once."""
        if self._writer is None:
            raise faults.unavailable("closed")
        return await self._writer.submit_together(together, item)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """The value of `work` over one moment of the ledger."""
        if self._readers is None:
            raise faults.unavailable("closed")
        return await self._readers.run(work)

    def _prepare(self) -> Connection:
        try:
            # A restore that was decided on and cut off ends here.
            backup.keep_promise(self._path)
            _make_private(self._path)
            connection = self._engine.connect()
        except Exception as error:
            if isinstance(error, OSError):
                raise faults.unavailable(error.strerror or type(error).__name__) from error
            raise faults.translated(error) from None
        try:
            revision.bring_up_to_date(connection, self._path)
        except Exception as error:  # noqa: BLE001  raised again in our words
            driver(connection).rollback()
            connection.close()
            raise faults.translated(error) from None
        return connection

    def _connect_driver(self) -> sqlite3.Connection:
        # Each connection is used by one thread at a time, though not by the one that made it.
        raw = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            for pragma in _PRAGMAS:
                raw.execute(pragma)
        except sqlite3.Error:
            raw.close()
            raise
        return raw


def _make_private(path: Path) -> None:
    """The file and its folder for this user alone, whatever the umask; SQLite gives its
    side files the mode of the main one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
