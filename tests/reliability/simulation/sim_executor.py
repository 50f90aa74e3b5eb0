"""Work that takes time, fails, hangs, writes and will not be stopped, as a run's name says."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from amodal_rt.domain.journal import EntryType, latest_try
from amodal_rt.domain.outcome import Outcome, failed
from amodal_rt.domain.run import FailedReason, RunStatus
from amodal_rt.ports import RunContext

DONE = Outcome(status=RunStatus.COMPLETED, text="done", model="test:model")
_OUTCOMES = frozenset({EntryType.TURN_FINISHED, EntryType.WRITE_FINISHED})


@dataclass
class Deeds:
    """What all executors of a simulation did, as the world outside saw it."""

    begun: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Executions by run and attempt."""
    written: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Effects outside by run and step."""


class SimulatedExecutor:
    """Carries out what the run's own name makes of chance: the same on every node."""

    def __init__(self, node: Any, deeds: Deeds, seed: int) -> None:
        self._node = node
        self._deeds = deeds
        self._seed = seed

    async def execute(self, context: RunContext) -> Outcome:
        run = context.run
        self._deeds.begun[run.run_id, run.attempt] += 1
        chance = Random(f"{self._seed} {run.run_id}")
        manner = chance.random()
        steps = chance.randint(1, 3)
        spans = [chance.expovariate(4.0) for _ in range(steps)]
        past = await latest_try(lambda after: self._node.ledger.entries(run.run_id, after=after))
        over = {entry.step for entry in past if entry.type in _OUTCOMES}
        for number, span in enumerate(spans):
            await self._turn(context, f"turn:{number}", span, over)
        if manner < 0.08:
            await asyncio.Event().wait()
        if manner < 0.14:
            await self._refuse_to_stop()
        if manner < 0.24 and run.attempt <= 2:
            return failed(FailedReason.ERROR, "as chance would have it")
        if manner < 0.28:
            raise RuntimeError("as chance would have it")
        if manner < 0.45:
            await self._write(context, "call_1", over)
        return DONE

    async def _turn(self, context: RunContext, step: str, span: float, over: set[Any]) -> None:
        if step in over:
            return
        await context.journal.record(EntryType.TURN_STARTED, step=step)
        await self._node.machine.sleep(span)
        await context.journal.record(EntryType.TURN_FINISHED, step=step)

    async def _write(self, context: RunContext, step: str, over: set[Any]) -> None:
        if step in over:
            return
        await context.journal.record(EntryType.WRITE_STARTED, step=step)
        if not context.lease.held():
            raise RuntimeError("the lease ended before the write")
        self._deeds.written[context.run.run_id, step] += 1
        await self._node.machine.sleep(0.02)
        await context.journal.record(EntryType.WRITE_FINISHED, step=step)

    async def _refuse_to_stop(self) -> None:
        for _ in range(6):
            try:
                await self._node.machine.sleep(4.0)
            except asyncio.CancelledError:
                if self._node.dead:
                    raise
