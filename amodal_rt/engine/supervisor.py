"""Holds one execution to its deadline."""

import asyncio
from collections.abc import Coroutine
from enum import Enum

from amodal_rt.clock import Clock
from amodal_rt.domain.outcome import Outcome, Waiting

PATIENCE_SECONDS = 3.0
"""How long an execution may take to obey its cancellation before it is abandoned."""


class Stop(Enum):
    """Why an execution was ended from outside."""

    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    """Another node has the run, or may have it soon: nothing may be written about it here."""


class Supervisor:
    """Runs one coroutine; says how it ended, or why it was stopped.

    `asyncio.timeout` would not do: a tool that swallows its cancellation keeps it waiting
    for ever. Here the waiting is beside the work.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stop: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()

    def stop(self, why: Stop) -> None:
        """End the execution; the first reason counts."""
        if not self._stop.done():
            self._stop.set_result(why)

    @property
    def why(self) -> Stop | None:
        """The first reason to stop that was given, if any was."""
        return self._stop.result() if self._stop.done() else None

    async def watch(
        self, work: Coroutine[object, object, Outcome | Waiting], *, seconds: float
    ) -> Outcome | Waiting | Stop:
        """What the work returned, or why it was stopped. Raises what the work raised."""
        task = asyncio.create_task(work)
        timer = asyncio.create_task(self._clock.sleep(seconds))
        try:
            await asyncio.wait({task, timer, self._stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return _result(task)
            why = self.why or Stop.DEADLINE
            await self._end(task)
            return why
        finally:
            timer.cancel()
            if not task.done():
                _abandon(task)

    async def _end(self, task: "asyncio.Task[Outcome | Waiting]") -> None:
        task.cancel()
        patience = asyncio.create_task(self._clock.sleep(PATIENCE_SECONDS))
        await asyncio.wait({task, patience}, return_when=asyncio.FIRST_COMPLETED)
        patience.cancel()
        if task.done() and not task.cancelled():
            # Its last words come too late; looking at them keeps asyncio from complaining.
            task.exception()


def _result(task: "asyncio.Task[Outcome | Waiting]") -> Outcome | Waiting:
    if task.cancelled():
        raise RuntimeError("the executor cancelled itself")
    return task.result()


# An abandoned task must stay referenced, or it may vanish in the middle of a step.
_abandoned: set["asyncio.Task[Outcome | Waiting]"] = set()


def _abandon(task: "asyncio.Task[Outcome | Waiting]") -> None:
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_forget)


def _forget(task: "asyncio.Task[Outcome | Waiting]") -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()
