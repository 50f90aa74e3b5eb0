"""What wakes the scheduler at the next due instant."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Protocol

from apscheduler.schedulers.asyncio import (  # pyright: ignore[reportMissingTypeStubs]
    AsyncIOScheduler,
)
from apscheduler.triggers.date import (  # pyright: ignore[reportMissingTypeStubs]
    DateTrigger,
)


class Alarm(Protocol):
    """One instant at a time. Early, late or missing rings lose nothing: whoever is woken
    asks the clock and the ledger."""

    def set(self, at: datetime | None) -> None:
        """Ring at `at` instead of whatever was set before; None for never."""
        ...

    async def wait(self) -> None:
        """Return after the next ring."""
        ...

    def close(self) -> None:
        """Ring no more."""
        ...


class SchedulerAlarm:
    """APScheduler with a single job, for the earliest of all due instants.

    One job for each automation would start thousands that are due at one instant half a
    second late.
    """

    _JOB = "next due"

    def __init__(self) -> None:
        self._ring = asyncio.Event()
        # Without a grace time APScheduler drops a wake-up that comes a second late, and
        # without a zone it refuses to start where the machine's own has no name.
        self._scheduler: Any = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True}
        )
        self._scheduler.start()
        self._at: datetime | None = None

    def set(self, at: datetime | None) -> None:
        if at == self._at:
            return
        if self._at is not None and self._scheduler.get_job(self._JOB):
            self._scheduler.remove_job(self._JOB)
        self._at = at
        if at is not None:
            self._scheduler.add_job(
                self._fire, DateTrigger(at), id=self._JOB, replace_existing=True
            )

    async def wait(self) -> None:
        await self._ring.wait()
        self._ring.clear()

    def close(self) -> None:
        self._scheduler.shutdown(wait=False)

    async def _fire(self) -> None:
        self._at = None
        self._ring.set()
