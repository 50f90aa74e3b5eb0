"""A few threads that read, each on its own connection."""

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from amodal_rt.storage import faults
from amodal_rt.storage.writer import driver

T = TypeVar("T")
THREADS = 2


class Readers:
    """Runs reads beside the writer. Each read sees one moment, and every write that was
    acknowledged before it began."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ledger-reader")
        self._closed = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        """The value of `work`. Raises UnavailableError (`ledger`) when the file cannot be read."""
        if self._closed:
            raise faults.unavailable("closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)

    async def close(self) -> None:
        """Wait for the reads under way and close all connections."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)
        while not self._idle.empty():
            self._idle.get().close()

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._open()
        raw = driver(connection)
        try:
            # Several statements of one read must not see a commit between them.
            raw.execute("BEGIN")
            return work(connection)
        except Exception as error:  # noqa: BLE001  raised again in our words
            raise faults.translated(error) from None
        finally:
            raw.rollback()
            self._idle.put(connection)

    def _open(self) -> Connection:
        try:
            connection = self._connect()
            driver(connection).execute("PRAGMA query_only = ON")
        except Exception as error:  # noqa: BLE001  raised again in our words
            raise faults.translated(error) from None
        return connection
