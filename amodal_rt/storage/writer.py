"""One thread that writes, with group commit: many works, one sync of the disk."""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import Connection

from amodal_rt import failpoints
from amodal_rt.errors import AmodalError, UnavailableError
from amodal_rt.storage import faults
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.session import Fate, Session

__all__ = ["BATCH", "Together", "Writer", "driver"]

T = TypeVar("T")
Item = TypeVar("Item")
SILENCE = 12.0
"""Seconds without an answer after which a server is given up: longer than it may take itself."""
_GLANCE = 2.0
BATCH = 500
"""How many works share one commit at most: bounds how long the first of them waits."""

Together = Callable[[Connection, Sequence[Item]], Sequence[T | AmodalError]]
"""What is done with many items in as few statements as possible: a value for each, in order,
or the error that it is refused with, having written nothing of it."""


@dataclass(slots=True)
class _Job:
    together: Together[Any, Any]
    item: Any
    future: asyncio.Future[Any]
    value: Any = None
    error: BaseException | None = None


_kind = attrgetter("together")


class _Lost(Exception):  # noqa: N818  says what happened to the transaction, not what was wrong
    """The whole transaction is gone, not one statement of it."""


class Writer:
    """Runs works one after another, many to a transaction, in the order they were given.

    A work must have no effect but on its connection, as it may be run again after a
    rollback. What it raises fails its own future alone. A future is resolved after the
    commit that makes its work durable.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._jobs: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._given: list[_Job] = []
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._closed = False
        self._given_over = self._gathered = self._finished = self._steps = 0
        self._waiting: list[_Job] = []
        self._ending = False
        self._watch: asyncio.TimerHandle | None = None
        self._refusal = faults.unavailable("an earlier commit failed")
        self._refused: AmodalError | None = None
        self._proved = False
        self.broken = False
        """Set after an error that leaves unknown what the disk holds; all later works fail.
        A database that is away is passing: works fail at once until it is back."""

    @property
    def away(self) -> bool:
        """Whether the database cannot be reached right now."""
        return self._session.away

    @property
    def unwritable(self) -> AmodalError | None:
        """Why nothing can be made durable, as the last attempt showed; None while it can.

        Only a write ends it: a transaction that changes nothing passes on a full disk too."""
        if self.broken or self._session.away:
            return self.refusal()
        return self._refused

    def refusal(self) -> AmodalError:
        """What works are told while nothing can be made durable."""
        if self._closed:
            return faults.unavailable("closed")
        if self.broken:
            return self._refusal
        return self._session.refusal()

    def find_damaged(self) -> None:
        """Somebody read what no ledger can hold: all later works fail. From any thread."""
        self._refusal = faults.damaged()
        self.broken = True

    def start(self) -> None:
        """Begin to take works."""
        self._thread.start()

    def submit(self, work: Callable[[Connection], T]) -> asyncio.Future[T]:
        """Queue `work`. Only from the event loop that made this writer.

        The future fails with what `work` raised, or with UnavailableError (`ledger`).
        """
        return self.submit_together(_one_by_one, work)

    def submit_together(self, together: Together[Item, T], item: Item) -> asyncio.Future[T]:
        """Queue `item` to be worked on with its neighbours that are given to the same function.

        As with `submit`; what `together` raises fails the item that it raises for.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        if self._closed or self.broken or self._session.away:
            future.set_exception(self.refusal())
            return future
        # Given one by one, each work of a burst would wake the thread, which then takes the
        # interpreter from the loop that is about to give the next.
        if not self._given:
            self._loop.call_soon(self._hand_over)
        self._given.append(_Job(together, item, future))
        return future

    async def close(self) -> None:
        """Commit what was queued, then end the thread and its connection."""
        if not self._closed:
            self._closed = True
            self._hand_over()
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
            if self._watch is not None:
                self._watch.cancel()
            self._session.close()

    def _hand_over(self) -> None:
        if self._given:
            self._jobs.put(self._given)
            self._given = []
            self._given_over += 1
            if self._watch is None:
                self._watch = self._loop.call_later(_GLANCE, self._look, self._steps, 0)

    def _look(self, steps: int, still: int) -> None:
        """Whether the thread went on since `steps`; if it did not at so many glances, it waits
        for a database that has fallen silent, and all callers with it."""
        self._watch = None
        if self._finished == self._given_over:
            return
        still = still + 1 if self._steps == steps else 0
        if still * _GLANCE >= SILENCE:
            self._session.cut()
        self._watch = self._loop.call_later(_GLANCE, self._look, self._steps, still)

    def _run(self) -> None:
        while not self._ending:
            jobs = self._wait()
            self._gather(jobs)
            while jobs:
                batch, self._waiting = jobs[:BATCH], jobs[BATCH:]
                self._carry(batch)
                self._resolve(batch)
                jobs = self._waiting
            self._finished = self._gathered

    def _wait(self) -> list[_Job]:
        """The next works; none when it was time to look for the database, or to end."""
        try:
            given = self._jobs.get(timeout=self._session.pause())
        except queue.Empty:
            self._session.revive()
            return []
        return self._count(given)

    def _gather(self, jobs: list[_Job]) -> None:
        """Add what else was given by now."""
        while len(jobs) < BATCH and not self._jobs.empty():
            jobs += self._count(self._jobs.get())

    def _count(self, given: list[_Job] | None) -> list[_Job]:
        self._ending = self._ending or given is None
        self._gathered += given is not None
        return given or []

    def _carry(self, batch: list[_Job]) -> None:
        self._proved = False
        # Savepoints cost as much as a row: the first try does without, and one failing work
        # sends its neighbours through again with them.
        if self._commit(batch, self._perform) or self._commit(batch, self._perform_guarded):
            return
        # One work broke the transaction for all: alone, it breaks its own.
        for job in batch:
            self._commit([job], self._perform_guarded, last=True)

    def _commit(
        self,
        batch: list[_Job],
        perform: Callable[[list[_Job]], None],
        *,
        last: bool = False,
    ) -> bool:
        """One transaction. False when it was rolled back and its works should be run again."""
        self._steps += 1
        if self.broken or self._session.away:
            return _fail(batch, self.refusal())
        try:
            self._session.begin()
            perform(batch)
            # Asked where it counts only: it may be a question to the server.
            proof = self._refused is not None and self._session.has_written()
        except Exception as error:  # noqa: BLE001  handed to those who wait, or tried again
            cause = error.__cause__ if isinstance(error, _Lost) and error.__cause__ else error
            return self._undo(batch, cause, last=last, committing=False)
        try:
            failpoints.hit("ledger.before_commit")
            self._session.commit()
            failpoints.hit("ledger.after_commit")
        except Exception as error:  # noqa: BLE001  whatever it is, nothing may be acknowledged
            return self._undo(batch, error, last=last, committing=True)
        self._proved = self._proved or proof
        return True

    def _undo(
        self, batch: Sequence[_Job], error: BaseException, *, last: bool, committing: bool
    ) -> bool:
        """False when the works should be run again, else they have failed."""
        fate = self._session.undo(error, committing=committing)
        self.broken = self.broken or fate is Fate.BROKEN
        if faults.is_damage(error):
            self.find_damaged()
        if fate is Fate.AGAIN and not last and not self.broken:
            return False
        told = self._session.translated(error)
        if committing and not isinstance(told, UnavailableError):
            told = faults.unavailable("commit")
        return _fail(batch, told)

    def _perform(self, batch: list[_Job]) -> None:
        # Who came while we waited for our turn among the nodes need not wait for another.
        if not self._waiting:
            self._gather(batch)
        for together, same in groupby(batch, _kind):
            self._do(together, list(same))

    def _do(self, together: Together[Any, Any], jobs: Sequence[_Job]) -> None:
        found = together(self._session.connection, [job.item for job in jobs])
        for job, value in zip(jobs, found, strict=True):
            if isinstance(value, AmodalError):
                job.error = value
            else:
                job.value = value

    def _perform_guarded(self, batch: list[_Job]) -> None:
        """Run one work after another; a failure undoes what its work wrote and nothing else."""
        raw = driver(self._session.connection)
        for job in batch:
            job.value = job.error = None
            raw.execute("SAVEPOINT work")
            try:
                self._do(job.together, [job])
            except Exception as error:
                if self._session.is_spoilt(error):
                    raise _Lost from error
                job.error = self._session.translated(error)
                raw.execute("ROLLBACK TO work")
            raw.execute("RELEASE work")

    def _note(self, batch: Sequence[_Job]) -> None:
        """Keep in mind whether what was given could be made durable."""
        refused = next((each.error for each in batch if faults.is_refusal(each.error)), None)
        if isinstance(refused, AmodalError):
            self._refused = refused
        elif self._proved:
            self._refused = None

    def _resolve(self, batch: Sequence[_Job]) -> None:
        # Before anybody hears of it: whoever was refused may look why at once.
        self._note(batch)
        try:
            self._loop.call_soon_threadsafe(_settle, batch)
        except RuntimeError:
            # The loop was closed without closing the ledger: nobody waits any more.
            self._closed = True


def _one_by_one(
    connection: Connection, works: Sequence[Callable[[Connection], T]]
) -> list[T | AmodalError]:
    return [work(connection) for work in works]


def _fail(batch: Sequence[_Job], error: BaseException) -> bool:
    for job in batch:
        job.error = error
    return True


def _settle(batch: Sequence[_Job]) -> None:
    for job in batch:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(job.value)
        else:
            job.future.set_exception(job.error)
