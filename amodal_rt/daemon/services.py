"""The long-running parts of the daemon, watched: none may die unnoticed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager

from amodal_rt.logs import Log

_log = Log("daemon")


class Services:
    """Tasks that last as long as their block. The first that ends inside it is the `fault`."""

    def __init__(self) -> None:
        self._fault: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def fault(self) -> "asyncio.Future[str]":
        """Resolves with the name of what went wrong, when something does."""
        return self._fault

    def fail(self, what: str) -> None:
        """Report a fault; the first one counts."""
        if not self._fault.done():
            self._fault.set_result(what)

    @asynccontextmanager
    async def running(
        self,
        name: str,
        work: Coroutine[object, object, None],
        stop: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncGenerator[None, None]:
        """Run `work` beside the block. At its end ask it to `stop`, then cancel it, and wait."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        try:
            yield
        finally:
            self._leaving.add(task)
            try:
                if stop is not None and not task.done():
                    await stop()
            finally:
                task.cancel()
                await asyncio.wait([task])
                self._leaving.discard(task)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if task in self._leaving:
            if error is not None:
                _log.exception("daemon.service_failed_late", error, service=task.get_name())
            return
        if error is not None:
            _log.exception("daemon.service_failed", error, service=task.get_name())
        else:
            _log.error("daemon.service_ended", service=task.get_name())
        self.fail(f"{task.get_name()} ended unexpectedly")
