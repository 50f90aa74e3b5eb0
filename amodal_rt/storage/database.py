"""A database that is read and written: one file, or a server."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from amodal_rt.errors import AmodalError
from amodal_rt.storage import faults
from amodal_rt.storage.readers import Readers
from amodal_rt.storage.session import Source
from amodal_rt.storage.writer import Together, Writer

T = TypeVar("T")
Item = TypeVar("Item")


class Database:
    """One writer and a few readers of what `source` leads to."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._writer: Writer | None = None
        self._readers: Readers | None = None

    @property
    def broken(self) -> bool:
        """Whether a commit failed in a way that leaves unknown what the disk holds, or the file
        was found to be damaged."""
        return self._writer is not None and self._writer.broken

    @property
    def unwritable(self) -> AmodalError | None:
        """Why the last write was refused; None once a write came through again."""
        return None if self._writer is None else self._writer.unwritable

    async def open(self) -> None:
        """Bring the tables up to date, making what is missing.

        Raises ConflictError (`ledger_newer`, `ledger_foreign`) or UnavailableError (`ledger`).
        """
        self._writer = Writer(await asyncio.to_thread(self._source.open_writer))
        self._writer.start()
        self._readers = Readers(self._source.open_reader, self._writer.find_damaged)

    async def close(self) -> None:
        """Commit what was queued and let go of the database."""
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
        if self._readers is None or self._writer is None:
            raise faults.unavailable("closed")
        if self._writer.away:
            # Each attempt to connect may take seconds: the writer's are enough.
            raise self._writer.refusal()
        return await self._readers.run(work)
