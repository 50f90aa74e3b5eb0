"""Wake-ups between the services of one process."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager


class ProcessSignals:
    """Implements `ports.Signals` with one flag for each listener.

    A listener's flag is raised from the moment it listens, so a notification between
    looking at the ledger and waiting costs one more look and is never lost.
    """

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Event]] = {}

    def notify(self, topic: str) -> None:
        for flag in self._listeners.get(topic, ()):
            flag.set()

    @contextmanager
    def listen(self, topic: str) -> Generator[Callable[[], Awaitable[None]], None, None]:
        flag = asyncio.Event()

        async def wait() -> None:
            await flag.wait()
            flag.clear()

        self._listeners.setdefault(topic, set()).add(flag)
        try:
            yield wait
        finally:
            self._forget(topic, flag)

    def _forget(self, topic: str, flag: asyncio.Event) -> None:
        listeners = self._listeners[topic]
        listeners.discard(flag)
        # Topics are named by run id: kept empty, they would grow for ever.
        if not listeners:
            del self._listeners[topic]
