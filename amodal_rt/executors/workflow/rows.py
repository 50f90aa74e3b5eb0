"""Rows of nodes on their way to the journal."""

import asyncio
from collections.abc import Mapping

from amodal_rt.clock import Clock
from amodal_rt.domain.journal import EntryType
from amodal_rt.ports import Journal

_MOST = 200
"""How many rows may be under way: a long graph of quick nodes must not outrun the disk."""


class Rows:
    """Writes rows without waiting for each: many share one commit.

    Nothing is lost by it. A node that reaches something waits for the row of its call, which
    stands behind all that were posted before it (`sent`); any other node does no harm when a crash
    has it done again.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._under_way: list[asyncio.Task[None]] = []

    async def post(
        self, type: EntryType, step: str, parent: str | None, data: Mapping[str, object]
    ) -> None:
        """Send a row on its way. Raises what kept an earlier one from being written."""
        row = self._journal.record(type, step=step, parent=parent, data=data)
        task = asyncio.ensure_future(row)
        # A run that is ended before it waits for them must not be reported as a lost error.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._under_way.append(task)
        if len(self._under_way) >= _MOST:
            await self.settle()

    async def sent(self) -> None:
        """Return when whatever is written from now on stands behind them."""
        # Each is on its way with the first step of its task, and those are next in the loop.
        await self._clock.sleep(0)

    async def settle(self) -> None:
        """Wait until all of them are durable."""
        rows, self._under_way = self._under_way, []
        await asyncio.gather(*rows)

    def abandon(self) -> None:
        """Wait for none of them any more: the run has ended, or was ended."""
        for each in self._under_way:
            each.cancel()
