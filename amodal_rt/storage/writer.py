"""One thread that writes, with group commit: many works, one sync of the disk."""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection

from amodal_rt import failpoints
from amodal_rt.errors import AmodalError
from amodal_rt.storage import faults

T = TypeVar("T")
BATCH = 500
"""How many works share one commit at most: bounds how long the first of them waits."""


@dataclass(slots=True)
class _Job(Generic[T]):
    work: Callable[[Connection], T]
    future: asyncio.Future[T]
    value: T | None = None
    error: BaseException | None = None


class _Lost(Exception):  # noqa: N818  says what happened to the transaction, not what was wrong
    """SQLite itself rolled the whole transaction back."""


def driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection, for statements that are too frequent for Core."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


class Writer:
    """Runs works one after another, many to a transaction, in the order they were given.

    A work must have no effect but on its connection, as it may be run again after a
    rollback. What it raises fails its own future alone. A future is resolved after the
    commit that makes its work durable.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._raw = driver(connection)
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._closed = False
        self.broken = False
        """Set after an error that leaves unknown what the disk holds; all later works fail."""

    def start(self) -> None:
        """Begin to take works."""
        self._thread.start()

    def submit(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Queue `work`. Only from the event loop that made this writer.

        The future fails with what `work` raised, or with UnavailableError (`ledger`).
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed or self.broken:
            future.set_exception(self._refusal())
        else:
            self._jobs.put(_Job(work, future))
        return future

    async def close(self) -> None:
        """Commit what was queued, then end the thread and its connection."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            self._connection.close()

    def _refusal(self) -> AmodalError:
        return faults.unavailable("closed" if self._closed else "an earlier commit failed")

    def _run(self) -> None:
        going = True
        while going:
            batch: list[_Job[Any]] = []
            job = self._jobs.get()
            while job is not None:
                batch.append(job)
                if len(batch) == BATCH or self._jobs.empty():
                    break
                job = self._jobs.get()
            going = job is not None
            if batch:
                self._carry(batch)
                self._resolve(batch)

    def _carry(self, batch: Sequence[_Job[Any]]) -> None:
        # Savepoints cost as much as a row: the first try does without, and one failing work
        # sends its neighbours through again with them.
        if self._commit(batch, self._perform) or self._commit(batch, self._perform_guarded):
            return
        # One work broke the transaction for all: alone, it breaks its own.
        for job in batch:
            self._commit([job], self._perform_guarded, last=True)

    def _commit(
        self,
        batch: Sequence[_Job[Any]],
        perform: Callable[[_Job[Any]], None],
        *,
        last: bool = False,
    ) -> bool:
        """One transaction. False when it was rolled back and its works should be run again."""
        if self.broken:
            return _fail(batch, self._refusal())
        try:
            self._raw.execute("BEGIN IMMEDIATE")
            for job in batch:
                perform(job)
        except Exception as error:  # noqa: BLE001  handed to those who wait, or tried again
            cause = error.__cause__ if isinstance(error, _Lost) and error.__cause__ else error
            self._roll_back(cause)
            if not last and not self.broken:
                return False
            return _fail(batch, faults.translated(cause))
        try:
            failpoints.hit("ledger.before_commit")
            self._raw.execute("COMMIT")
            failpoints.hit("ledger.after_commit")
        except Exception as error:  # noqa: BLE001  whatever it is, nothing may be acknowledged
            passing = faults.is_passing(error)
            self.broken = self.broken or not passing
            self._roll_back(error)
            if passing and not last and not self.broken:
                return False
            told = error if isinstance(error, sqlite3.Error) else sqlite3.OperationalError("commit")
            return _fail(batch, faults.translated(told))
        return True

    def _perform(self, job: _Job[Any]) -> None:
        job.value = job.work(self._connection)

    def _perform_guarded(self, job: _Job[Any]) -> None:
        """Run one work; its failure undoes what it wrote and nothing else."""
        job.value = job.error = None
        self._raw.execute("SAVEPOINT work")
        try:
            job.value = job.work(self._connection)
        except Exception as error:
            if faults.is_beyond_trust(error) or not self._raw.in_transaction:
                raise _Lost from error
            job.error = faults.translated(error)
            self._raw.execute("ROLLBACK TO work")
        self._raw.execute("RELEASE work")

    def _roll_back(self, cause: BaseException) -> None:
        self.broken = self.broken or faults.is_beyond_trust(cause)
        try:
            self._raw.rollback()
        except sqlite3.Error:
            self.broken = True

    def _resolve(self, batch: Sequence[_Job[Any]]) -> None:
        try:
            self._loop.call_soon_threadsafe(_settle, batch)
        except RuntimeError:
            # The loop was closed without closing the ledger: nobody waits any more.
            self._closed = True


def _fail(batch: Sequence[_Job[Any]], error: BaseException) -> bool:
    for job in batch:
        job.error = error
    return True


def _settle(batch: Sequence[_Job[Any]]) -> None:
    for job in batch:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.value)
        else:
            job.future.set_exception(job.error)
