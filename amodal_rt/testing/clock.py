"""Time that a test holds in its hands."""

import asyncio
import heapq
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

_TURNS = 20
_ROUND_TRIPS = 12
_START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class FakeClock:
    """Satisfies `clock.Clock`. Nothing passes unless `advance` or `jump` says so.

    `advance` wakes each sleeper at its own instant and in order; `jump` turns the wall clock
    alone, as a person or a time server does.
    """

    def __init__(self, now: datetime = _START) -> None:
        self._now = now
        self._elapsed = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._elsewhere: Callable[[], Awaitable[object]] | None = None

    def settle_with(self, elsewhere: Callable[[], Awaitable[object]] | None) -> None:
        """Let `settle` also await this, between its turns: a round trip through another thread
        (a ledger's writer), whose answers arrive without time passing."""
        self._elsewhere = elsewhere

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if seconds <= 0:
            asyncio.get_running_loop().call_soon(_resolve, waking)
        else:
            entry = (self._elapsed + seconds, next(self._order), waking)
            heapq.heappush(self._sleepers, entry)
        await waking

    @asynccontextmanager
    async def deadline(self, seconds: float | None) -> AsyncGenerator[None, None]:
        """Cancel the body once `seconds` have been advanced; raises TimeoutError then."""
        if seconds is None:
            yield
            return
        # An expiry in the past of the loop's own clock fires at once, whatever time it keeps.
        async with asyncio.timeout(None) as limit:
            timer = asyncio.ensure_future(self.sleep(seconds))
            timer.add_done_callback(lambda done: done.cancelled() or limit.reschedule(0))
            try:
                yield
            finally:
                timer.cancel()

    async def advance(self, length: float | timedelta) -> None:
        """Let time pass, waking every sleeper that becomes due, in order."""
        seconds = length.total_seconds() if isinstance(length, timedelta) else length
        end = self._elapsed + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, waking = heapq.heappop(self._sleepers)
            if waking.done():
                continue
            self._pass(due - self._elapsed)
            _resolve(waking)
            await self.settle()
        self._pass(end - self._elapsed)
        await self.settle()

    def jump(self, length: timedelta) -> None:
        """Turn the wall clock, forward or back; no sleeper wakes."""
        self._now += length

    async def settle(self) -> None:
        """Let everything run that can run without time passing."""
        for _ in range(_ROUND_TRIPS if self._elsewhere else 1):
            for _ in range(_TURNS):
                await self.sleep(0)
                # Only where a round trip follows: without one, turns are all that others get.
                if self._elsewhere and _is_idle():
                    break
            if self._elsewhere:
                await self._elsewhere()

    def _pass(self, seconds: float) -> None:
        self._elapsed += seconds
        self._now += timedelta(seconds=seconds)


def _is_idle() -> bool:
    """Whether nothing waits for a turn of the loop, as far as it says."""
    return not getattr(asyncio.get_running_loop(), "_ready", True)


def _resolve(waking: "asyncio.Future[None]") -> None:
    if not waking.done():
        waking.set_result(None)
