"""Webhooks that come in while something happens, and the comparison afterwards."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from figures import Figures
from history import judge
from town import Town

RATE = 2.0
"""Webhooks in a second."""


@asynccontextmanager
async def under_load(town: Town, figures: Figures) -> AsyncIterator[None]:
    """Webhooks come in for as long as the block; then all of it is compared."""
    over = asyncio.Event()
    load = asyncio.create_task(town.load(RATE, over))
    try:
        yield
        assert not load.done(), load.exception()
    finally:
        over.set()
        await load
    await town.settle()
    verdict = await judge(town)
    figures.add("acks", len(town.acks))
    figures.add("lost", len(verdict.lost))
    figures.add("doubled", len(verdict.doubled))
    figures.add("double_starts", len(verdict.doubled) + len(verdict.fenced))
    figures.add("limits_exceeded", len(verdict.exceeded))
    assert verdict.clean, verdict
    assert len(town.acks) > RATE
