"""Time. The only module that reads a clock or sleeps."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Protocol

AHEAD = timedelta(minutes=1)
"""So far in the future an instant on record may lie: the clocks of two nodes differ. One that
lies further ahead was written while a clock was wrong."""


class Clock(Protocol):
    """Wall time, elapsed time, sleeping and deadlines, as one thing that a test can hold."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC. It may jump in either direction."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes backwards, and counts the time that the
        machine slept where the system can tell."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of elapsed time; zero or less yields once."""
        ...

    def deadline(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """Cancel the body after `seconds` and raise `TimeoutError` from the block; None never does.

        A body that swallows its cancellation is not bounded by this: runs have a supervisor.
        """
        ...


def _elapsed() -> float:
    # The plain monotonic clock of Linux stands still while the machine sleeps: a node that woke
    # up would still trust a lease that ran out hours ago.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return _elapsed()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0))

    def deadline(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)


async def first_of(*waits: Awaitable[None]) -> set[int]:
    """Return when the first is done, with the places of all that are; cancel the others."""
    tasks = [asyncio.ensure_future(each) for each in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return {place for place, task in enumerate(tasks) if task in done}
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def iso(instant: datetime | None) -> str | None:
    """`2026-03-02T09:00:00Z`, milliseconds only when not zero: time in every JSON document."""
    if instant is None:
        return None
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return text.replace(".000Z", "Z")


def parse_iso(text: str) -> datetime:
    """The inverse of `iso`. Raises ValueError for a text without zone."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return instant.astimezone(UTC)


def to_millis(instant: datetime) -> int:
    """Whole milliseconds since the Unix epoch: how the ledger stores instants."""
    since = instant - _EPOCH
    # Whole numbers: dividing by a timedelta takes several times as long.
    return (since.days * 86_400 + since.seconds) * 1000 + round(since.microseconds / 1000)


def from_millis(millis: int) -> datetime:
    """The inverse of `to_millis`: aware, UTC."""
    return _EPOCH + timedelta(milliseconds=millis)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
