"""A few threads that read, each on its own connection."""

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from amodal_rt.storage import faults
from amodal_rt.storage.session import Fate, Session
from amodal_rt.storage.writer import SILENCE

T = TypeVar("T")
THREADS = 2


class Readers:
    """Runs reads beside the writer. Each read sees one moment, and every write that was
    acknowledged before it began."""

    def __init__(
        self, open_session: Callable[[], Session], found_damaged: Callable[[], None]
    ) -> None:
        """`found_damaged` is called, from any thread, when a read shows that the file is."""
        self._open = open_session
        self._found_damaged = found_damaged
        self._idle: queue.SimpleQueue[Session] = queue.SimpleQueue()
        self._busy: set[Session] = set()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ledger-reader")
        self._closed = False

    async def run(self, work: Callable[[Connection], T]) -> T:
        """The value of `work`. Raises UnavailableError (`ledger`) when the file cannot be read."""
        if self._closed:
            raise faults.unavailable("closed")
        loop = asyncio.get_running_loop()
        silence = loop.call_later(SILENCE, self._cut)
        try:
            return await loop.run_in_executor(self._threads, self._read, work)
        finally:
            silence.cancel()

    async def close(self) -> None:
        """Wait for the reads under way and close all connections."""
        self._closed = True
        silence = asyncio.get_running_loop().call_later(SILENCE, self._cut)
        await asyncio.to_thread(self._threads.shutdown)
        silence.cancel()
        while not self._idle.empty():
            self._idle.get().close()

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            session = self._idle.get_nowait()
        except queue.Empty:
            session = self._open()
        self._busy.add(session)
        try:
            return self._try(session, work)
        finally:
            self._busy.discard(session)
            self._idle.put(session)

    def _cut(self) -> None:
        """Wake those who read from a database that has fallen silent. A read that did answer
        is tried once more."""
        for session in list(self._busy):
            session.cut()

    def _try(self, session: Session, work: Callable[[Connection], T]) -> T:
        # A connection that was cut while it was idle says so only when it is used.
        for last in (False, True):
            if session.away and not session.revive():
                raise session.refusal()
            try:
                # Several statements of one read must not see a commit between them.
                session.begin()
                found = work(session.connection)
                session.end()
            except Exception as error:  # noqa: BLE001  raised again in our words
                lost = session.is_lost(error)
                fate = session.undo(error, committing=False)
                if faults.is_damage(error):
                    # Whoever only reads would warn for ever, while webhooks are acknowledged.
                    self._found_damaged()
                if last or not lost or fate is not Fate.AGAIN:
                    raise session.translated(error) from None
            else:
                return found
        raise AssertionError
