"""What tests of failing targets wait for."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "delivery"))

from delivery_desk import Desk, statuses  # pyright: ignore[reportMissingImports]

from amodal_rt.domain.breaker import BreakerState


async def when(look: Callable[[], Awaitable[object]]) -> None:
    """Until what it looks for is so."""
    while True:
        if await look():
            return
        await asyncio.sleep(0.005)


async def until(desk: Desk, **counts: int) -> None:
    """Until so many messages have each status."""

    async def reached() -> bool:
        found = list(statuses(await desk.messages()))
        return all(found.count(status) >= count for status, count in counts.items())

    await when(reached)


async def is_open(desk: Desk, opened: int = 1) -> bool:
    found = [each for each in await desk.ledger.breakers() if each.state is BreakerState.OPEN]
    return any(each.opened == opened for each in found)
