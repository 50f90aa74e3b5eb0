"""Wake-ups from one node to the others, by LISTEN/NOTIFY.

None of them is a fact: whoever was woken looks at the ledger, and whoever was not looks a
little later. So they may be lost while the database is away.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import psycopg

from amodal_rt.clock import Clock
from amodal_rt.logs import Log

_CHANNEL = "amodal_rt"
_AT_ONCE = 200
"""Topics of one notification, whose payload is bounded to 8,000 bytes."""
_MOST = 2_000
"""How many topics may wait to be told."""
_GATHER_SECONDS = 0.02

_log = Log("ledger")


class Wakeups:
    """Tells other nodes, and hears from them, until the connection breaks."""

    def __init__(
        self,
        way: Mapping[str, Any],
        *,
        sender: str,
        hear: Callable[[str], None],
        missed: Callable[[], None],
        clock: Clock,
    ) -> None:
        """`sender` is this process alone: its own words are not heard. `missed` is called
        whenever something may have been said unheard."""
        self._way = way
        self._sender = sender
        self._hear = hear
        self._missed = missed
        self._clock = clock
        self._untold: dict[str, None] = {}
        self._told = asyncio.Event()

    def tell(self, topic: str) -> None:
        """Wake what waits for `topic` on other nodes. From the event loop only."""
        if len(self._untold) < _MOST:
            self._untold[topic] = None
            self._told.set()

    async def listen(self) -> None:
        """Hear from other nodes. Raises what the connection breaks with."""
        async with await self._connect() as connection:
            await connection.execute(f"LISTEN {_CHANNEL}")
            self._missed()
            async for note in connection.notifies():
                sender, *topics = note.payload.split(" ")
                if sender != self._sender:
                    for topic in topics:
                        self._hear(topic)

    async def speak(self) -> None:
        """Tell other nodes. Raises what the connection breaks with."""
        async with await self._connect() as connection:
            while True:
                await self._told.wait()
                # A run journals in bursts: its followers need one word for all of it.
                await self._clock.sleep(_GATHER_SECONDS)
                self._told.clear()
                topics, self._untold = list(self._untold), {}
                for start in range(0, len(topics), _AT_ONCE):
                    words = " ".join((self._sender, *topics[start : start + _AT_ONCE]))
                    await connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, words))

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(autocommit=True, **self._way)
