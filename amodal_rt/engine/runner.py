"""Claims runs within the limits and carries each to its outcome."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from amodal_rt.clock import Clock, first_of
from amodal_rt.domain.run import Run
from amodal_rt.engine.carrying import Carrier
from amodal_rt.engine.recovery import Recovery
from amodal_rt.engine.supervisor import Stop, Supervisor
from amodal_rt.engine.withdrawals import Withdrawals
from amodal_rt.errors import AmodalError
from amodal_rt.ids import Ids
from amodal_rt.logs import Log
from amodal_rt.ports import (
    RUNS_PENDING,
    SNAPSHOT,
    Catalogue,
    EventLedger,
    Executor,
    JournalLedger,
    OutcomePlanner,
    RunLedger,
    Signals,
)

LOOK_SECONDS = 15.0
"""How often the queue is looked at without being told: waiting runs may have expired."""
_RETRY_SECONDS = 1.0
_LAST_WORDS_SECONDS = 8.0

_log = Log("engine")


class EngineLedger(RunLedger, EventLedger, JournalLedger, Protocol):
    """What the engine needs of the ledger."""


class Engine:
    """The only part that turns pending runs into running ones.

    At most `limits.concurrency` of the workspace run here at once; the ledger holds every
    automation to its own limit.
    """

    def __init__(
        self,
        *,
        ledger: EngineLedger,
        catalogue: Catalogue,
        executor: Executor,
        planner: OutcomePlanner,
        signals: Signals,
        clock: Clock,
        ids: Ids,
        mask: Callable[[str], str],
    ) -> None:
        self._ledger = ledger
        self._catalogue = catalogue
        self._signals = signals
        self._clock = clock
        self._carrier = Carrier(
            ledger=ledger,
            catalogue=catalogue,
            executor=executor,
            planner=planner,
            signals=signals,
            clock=clock,
            mask=mask,
        )
        self._recovery = Recovery(ledger, self._carrier, clock)
        self._withdrawals = Withdrawals(
            ledger=ledger, catalogue=catalogue, signals=signals, clock=clock
        )
        self._carried: dict[str, tuple[Supervisor, asyncio.Task[None]]] = {}
        self._stopping = False

    async def recover(self) -> None:
        """At start, before `run`: settle what a crash left running."""
        await self._recovery.recover()

    async def run(self) -> None:
        """Claim and carry runs until cancelled; returns by itself after `stop`."""
        with (
            self._signals.listen(RUNS_PENDING) as pending,
            self._signals.listen(SNAPSHOT) as snapshot,
        ):
            while not self._stopping:
                seconds = LOOK_SECONDS
                try:
                    await self._withdrawals.look()
                    await self._fill()
                    seconds = await self._until_next()
                except AmodalError as error:
                    _log.error("engine.postponed", code=error.code, error=error.message)
                    seconds = _RETRY_SECONDS
                await first_of(pending(), snapshot(), self._clock.sleep(seconds))

    async def stop(self, grace: float) -> None:
        """Claim nothing more; let runs finish for `grace` seconds, then interrupt them.

        A second call with a shorter grace counts from then. Returns when no run is left.
        """
        self._stopping = True
        self._signals.notify(RUNS_PENDING)
        if grace > 0:
            await self._settle(grace)
        for supervisor, _ in self._carried.values():
            supervisor.stop(Stop.INTERRUPTED)
        await self._settle(_LAST_WORDS_SECONDS)

    def cancel_running(self, run_id: str) -> bool:
        """Ask a run that is carried here to end as cancelled."""
        found = self._carried.get(run_id)
        if found is None:
            return False
        found[0].stop(Stop.CANCELLED)
        return True

    async def _fill(self) -> None:
        limits = self._catalogue.snapshot().settings.limits
        now = self._clock.now()
        expired = await self._ledger.expire_waiting(before=now - limits.start_within, now=now)
        for ref in expired:
            _log.warning(
                "run.skipped", run=ref.run_id, automation=ref.automation, reason=ref.reason
            )
        free = limits.concurrency - len(self._carried)
        if free > 0:
            for run in await self._ledger.claim(limit=free, now=now):
                if self._stopping:
                    await self._ledger.requeue(run, at=now)
                else:
                    self._carry(run)

    def _carry(self, run: Run) -> None:
        supervisor = Supervisor(self._clock)
        task = asyncio.create_task(self._carrier.carry(run, supervisor), name=run.run_id)
        self._carried[run.run_id] = (supervisor, task)
        task.add_done_callback(lambda done: self._done(run, done))

    def _done(self, run: Run, task: "asyncio.Task[None]") -> None:
        self._carried.pop(run.run_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.exception("run.lost", error, run=run.run_id)
        # A slot is free, and perhaps the automation's own limit too.
        self._signals.notify(RUNS_PENDING)

    async def _until_next(self) -> float:
        next_at = await self._ledger.next_claimable_at()
        if next_at is None:
            return LOOK_SECONDS
        left = (next_at - self._clock.now()) / timedelta(seconds=1)
        return min(max(left, 0.01), LOOK_SECONDS)

    async def _settle(self, seconds: float) -> None:
        tasks = {task for _, task in self._carried.values()}
        if not tasks:
            return
        timer = asyncio.create_task(self._clock.sleep(seconds))
        everything = asyncio.create_task(asyncio.wait(tasks))
        await asyncio.wait({everything, timer}, return_when=asyncio.FIRST_COMPLETED)
        for each in (timer, everything):
            each.cancel()
