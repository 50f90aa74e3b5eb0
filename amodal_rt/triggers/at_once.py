"""Work of one kind, a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

Work = Callable[[], Awaitable[None]]


async def few_at_once(works: Iterable[Work], most: int) -> None:
    """Do all of them, begun in their order, never more than `most` at a time. Raises what one of
    them raises, in a group, and ends the others then."""
    room = asyncio.Semaphore(most)

    async def one(work: Work) -> None:
        async with room:
            await work()

    async with asyncio.TaskGroup() as tasks:
        for work in works:
            tasks.create_task(one(work))
