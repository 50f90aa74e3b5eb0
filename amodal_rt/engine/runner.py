"""Claims runs within the limits and carries each to its outcome."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from amodal_rt.clock import Clock, first_of
from amodal_rt.domain.run import Run
from amodal_rt.engine.carrying import Carrier
from amodal_rt.engine.expiry import Expiry
from amodal_rt.engine.recovery import Recovery
from amodal_rt.engine.supervisor import Stop, Supervisor
from amodal_rt.engine.withdrawals import Withdrawals
from amodal_rt.errors import AmodalError
from amodal_rt.guardrails.pacing import starting
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import (
    RUNS_PENDING,
    SNAPSHOT,
    EventLedger,
    Executor,
    JournalLedger,
    Lease,
    ModelPacing,
    NodeLedger,
    OutcomePlanner,
    OwnEvents,
    RunLedger,
    Signals,
    VersionedCatalogue,
)

LOOK_SECONDS = 15.0
"""How often the queue is looked at without being told."""
REST_SECONDS = 0.05
"""How long the queue is left alone after `_PATIENCE` looks in a row that found nothing: in a
burst of events for a busy automation every event would have it looked at."""
_PATIENCE = 10
_RETRY_SECONDS = 1.0
_LAST_WORDS_SECONDS = 8.0

_log = Log("engine")


class EngineLedger(RunLedger, EventLedger, JournalLedger, NodeLedger, Protocol):
    """What the engine needs of the ledger."""


class Engine:
    """The only part that turns pending runs into running ones.

    At most `limits.concurrency` of the workspace run at once, here and on all nodes together;
    the ledger holds every automation to its own limit.
    """

    def __init__(
        self,
        *,
        ledger: EngineLedger,
        catalogue: VersionedCatalogue,
        executor: Executor,
        planner: OutcomePlanner,
        signals: Signals,
        clock: Clock,
        mask: Callable[[str], str],
        lease: Lease,
    ) -> None:
        self._ledger = ledger
        self._lease = lease
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
            lease=lease,
        )
        self._pacing: ModelPacing | None = None
        self._carried: dict[str, tuple[Supervisor, asyncio.Task[None]]] = {}
        self._recovery = Recovery(ledger, self._carrier, clock, self._carried.keys)
        self._recovering = asyncio.Lock()
        self._withdrawals = Withdrawals(
            ledger=ledger, catalogue=catalogue, signals=signals, clock=clock
        )
        self._freed = asyncio.Event()
        self._expiry = Expiry(ledger, catalogue, clock)
        self._in_vain = 0
        self._stopping = False
        self._in_doubt = False
        self._postponed = Spell(_log, clock, event="engine.postponed", over="engine.resumed")
        self.looked_at = clock.monotonic()
        """When it last looked at the queue: every quarter of a minute while all is well."""
        self._cancel_missed = False

    def speak_with(self, own: OwnEvents) -> None:
        """From now on, say on the bus how runs begin and end."""
        self._carrier.own = own

    async def recover(self) -> None:
        """Settle what a node that is gone left running: at start before `run`, and whenever
        one was retired. To be called again after an error."""
        async with self._recovering:
            if await self._recovery.recover():
                self._signals.notify(RUNS_PENDING)

    def pace_with(self, pacing: ModelPacing) -> None:
        """From now on, leave what waits for a model's provider in the queue."""
        self._pacing = pacing

    def abandon(self) -> None:
        """Let go of all runs, without a word in the ledger: another node may have them."""
        for supervisor, _ in self._carried.values():
            supervisor.stop(Stop.LOST)

    async def obey_cancels(self) -> None:
        """End the runs carried here that somebody asked to end through another node."""
        for run_id in await self._ledger.cancels_asked():
            found = self._carried.get(run_id)
            if found is not None:
                found[0].stop(Stop.CANCELLED)

    async def run(self) -> None:
        """Claim and carry runs until cancelled; returns by itself after `stop`."""
        with (
            self._signals.listen(RUNS_PENDING) as pending,
            self._signals.listen(SNAPSHOT) as snapshot,
        ):
            while not self._stopping:
                seconds = LOOK_SECONDS
                self.looked_at = self._clock.monotonic()
                self._freed.clear()
                try:
                    await self._resolve_doubt()
                    await self._withdrawals.look()
                    await self._fill()
                    seconds = await self._until_next()
                    if self._lease.held():
                        # Only now: what finds a free slot was not held back too long.
                        seconds = min(seconds, await self._expiry.look())
                except AmodalError as error:
                    self._postponed.failed(code=error.code, error=error.message)
                    seconds = _RETRY_SECONDS
                else:
                    self._postponed.ended()
                began = self._clock.monotonic()
                await first_of(pending(), snapshot(), self._clock.sleep(seconds))
                await self._rest(REST_SECONDS - (self._clock.monotonic() - began))

    async def stop(self, grace: float) -> None:
        """Claim nothing more; let runs finish for `grace` seconds, then interrupt them.

        A second call with a shorter grace counts from then. Returns when no run is left, and
        what a claim under way took is back in the queue, unless that takes too long.
        """
        self._stopping = True
        self._freed.set()
        self._signals.notify(RUNS_PENDING)
        if grace > 0:
            await self._settle(grace)
        for supervisor, _ in self._carried.values():
            supervisor.stop(Stop.INTERRUPTED)
        await asyncio.gather(self._settle(_LAST_WORDS_SECONDS), self._end_claim())

    def cancel_running(self, run_id: str) -> bool:
        """Ask a run that is carried here to end as cancelled."""
        found = self._carried.get(run_id)
        if found is None:
            # Perhaps it was just claimed: the ledger knows, and is asked after that.
            self._cancel_missed = True
            self._signals.notify(RUNS_PENDING)
            return False
        found[0].stop(Stop.CANCELLED)
        return True

    def _free(self) -> int:
        return self._catalogue.snapshot().settings.limits.concurrency - len(self._carried)

    async def _fill(self) -> None:
        free, now = self._free(), self._clock.now()
        snapshot = self._catalogue.snapshot()
        overall = snapshot.settings.limits.concurrency
        found: list[Run] = []
        if free > 0 and self._lease.held() and not self._stopping:
            async with self._recovery.taking:
                try:
                    # What cannot run here waits for another node, or until it can.
                    can_run = starting(
                        self._withdrawals.runs_here(snapshot), self._pacing, snapshot
                    )
                    found = await self._ledger.claim(
                        limit=free, overall=overall, now=now, can_run=can_run
                    )
                except AmodalError:
                    self._in_doubt = True
                    raise
                for run in found:
                    if self._stopping:
                        await self._recovery.give_back(run)
                    else:
                        self._carry(run)
        if self._cancel_missed:
            self._cancel_missed = False
            await self.obey_cancels()
        self._in_vain = 0 if found else self._in_vain + 1

    async def _end_claim(self) -> None:
        """Wait for a claim under way. Without that, what it takes would look as if it ran until
        the next start, or until other nodes give this one up."""

        async def ended() -> None:
            async with self._recovery.taking:
                pass

        await first_of(ended(), self._clock.sleep(_LAST_WORDS_SECONDS))

    async def _resolve_doubt(self) -> None:
        """A claim that was not answered may have been made, and a run may have been let go of
        without a word: they would be carried by nobody."""
        if self._in_doubt:
            self._in_doubt = False
            try:
                await self.recover()
            except AmodalError:
                self._in_doubt = True
                raise

    async def _rest(self, seconds: float) -> None:
        """Let further events pile up, unless a slot becomes free."""
        if seconds <= 0:
            self._in_vain = 0
        elif self._in_vain >= _PATIENCE:
            await first_of(_set(self._freed), self._clock.sleep(seconds))

    def _carry(self, run: Run) -> None:
        supervisor = Supervisor(self._clock)
        task = asyncio.create_task(
            self._carrier.carry(run, supervisor, self._recovery.cut_off), name=run.run_id
        )
        self._carried[run.run_id] = (supervisor, task)
        task.add_done_callback(lambda done: self._done(run, done))

    def _done(self, run: Run, task: "asyncio.Task[None]") -> None:
        # Let go of and taken over again, it may already be carried anew.
        if self._carried.get(run.run_id, (None, None))[1] is task:
            del self._carried[run.run_id]
        if task.cancelled():
            _log.error("run.lost", run=run.run_id, error="it was cancelled")
            self._in_doubt = True
        elif (error := task.exception()) is not None:
            _log.exception("run.lost", error, run=run.run_id)
            self._in_doubt = True
        # A slot is free, and perhaps the automation's own limit too.
        self._freed.set()
        self._signals.notify(RUNS_PENDING)

    async def _until_next(self) -> float:
        if self._free() <= 0:
            return LOOK_SECONDS
        due = (
            await self._ledger.next_claimable_at(),
            self._pacing.next_at() if self._pacing else None,
        )
        next_at = min(filter(None, due), default=None)
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


async def _set(flag: asyncio.Event) -> None:
    await flag.wait()
