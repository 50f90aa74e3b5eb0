"""A sender with everything around it: a real ledger, real sockets, a held clock."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from delivery_samples import NOW, CountingIds

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.delivery.callbacks import Callbacks
from amodal_rt.delivery.planner import DeliveryPlanner
from amodal_rt.delivery.sender import Sender
from amodal_rt.domain.automation import Definition, OnLimit
from amodal_rt.domain.delivery import DeliveryRecord, DeliveryStatus, Target
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workspace import (
    AutomationState,
    Snapshot,
    WorkspaceAlerts,
    WorkspaceSettings,
)
from amodal_rt.guardrails.egress import Egress
from amodal_rt.ports import OUTBOX
from amodal_rt.settings import Environment
from amodal_rt.storage.sqlite import SqliteLedger

LOOPBACK = ("127.0.0.0/8",)


class _Deadline:
    def __init__(self, clock: "HeldClock", seconds: float | None) -> None:
        self._clock, self._seconds, self._fired = clock, seconds, False
        self._task: asyncio.Task[object] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        if self._seconds is not None:
            self._clock.timers[self] = self._clock.monotonic() + self._seconds

    def fire(self) -> None:
        self._fired = True
        if self._task is not None:
            self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._clock.timers.pop(self, None)
        cancelled = kind is asyncio.CancelledError
        if self._fired and cancelled and self._task is not None and self._task.uncancel() == 0:
            raise TimeoutError


class _Sleep:
    def __init__(self) -> None:
        self.over = asyncio.Event()

    def fire(self) -> None:
        self.over.set()


class HeldClock:
    """Time that passes only when the test says so."""

    def __init__(self) -> None:
        self._now, self._elapsed = NOW, 0.0
        self.timers: dict[_Deadline | _Sleep, float] = {}

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleep = _Sleep()
        self.timers[sleep] = self._elapsed + seconds
        try:
            await sleep.over.wait()
        finally:
            self.timers.pop(sleep, None)

    def deadline(self, seconds: float | None) -> _Deadline:
        return _Deadline(self, seconds)

    def advance(self, seconds: float) -> None:
        self._elapsed += seconds
        self._now += timedelta(seconds=seconds)
        for timer in [each for each, at in self.timers.items() if at <= self._elapsed]:
            del self.timers[timer]
            timer.fire()


class Desk:
    """One automation's deliveries, from outcome to settled message.

    Implements `ports.Catalogue` for its sender.
    """

    def __init__(self, path: Path, before: "Desk | None" = None) -> None:
        self.clock = before.clock if before else HeldClock()
        self.ids = before.ids if before else CountingIds()
        self.planner = DeliveryPlanner(self.ids)
        self.ledger = SqliteLedger(path, clock=self.clock)
        self.signals = ProcessSignals()
        self.callbacks = Callbacks()
        self.variables: dict[str, str] = {}
        self.definitions: dict[str, Definition] = before.definitions if before else {}
        self.settings = before.settings if before else WorkspaceSettings()

    def tell(self, *targets: Target) -> None:
        """Have the workspace's own alerts go there."""
        self.settings = WorkspaceSettings(alerts=WorkspaceAlerts(targets=targets))

    def snapshot(self) -> Snapshot:
        states = {
            name: AutomationState(name=name, file=each.file, definition=each)
            for name, each in self.definitions.items()
        }
        return Snapshot(version=1, automations=states, settings=self.settings)

    def environment(self) -> Environment:
        return Environment(process=self.variables)

    async def finish(self, definition: Definition, outcome: Outcome, **more: bool) -> str:
        """Carry one run of `definition` to `outcome`; returns its id."""
        name = definition.automation.name
        self.definitions[name] = definition
        start = Start(
            run_id=self.ids.run(),
            automation=name,
            title=definition.automation.title,
            trigger=TriggerKind.MANUAL,
            definition=definition.hash,
            created_at=self.clock.now(),
            concurrency=100,
            on_limit=OnLimit.QUEUE,
            rehearse=more.get("rehearse", False),
        )
        await self.ledger.admit([start])
        (run,) = await self.ledger.claim(limit=1, overall=1000, now=self.clock.now())
        now = self.clock.now()
        assert await self.ledger.finish(
            run,
            outcome,
            at=now,
            plan=lambda state: self.planner.plan(run, outcome, definition, state, now),
        )
        self.signals.notify(OUTBOX)
        return run.run_id

    async def messages(self, **wanted: object) -> list[DeliveryRecord]:
        """Oldest first."""
        found = await self.ledger.list_messages(limit=1000, **wanted)  # type: ignore[arg-type]
        return found[::-1]

    async def settled(self, count: int = 1, attempts: int = 1) -> list[DeliveryRecord]:
        """All messages, once `count` of them have been tried `attempts` times or are final."""
        while True:
            found = await self.messages()
            tried = [
                each
                for each in found
                if each.status is not DeliveryStatus.SENDING
                and (each.attempts >= attempts or each.finished_at is not None)
            ]
            if len(tried) >= count:
                return found
            await asyncio.sleep(0.002)

    @asynccontextmanager
    async def sending(
        self, *, allow: tuple[str, ...] = LOOPBACK, stop: bool = True
    ) -> AsyncIterator[Sender]:
        """A running sender; left by `stop`, or else by cancellation."""
        async with Egress(allow) as egress:
            sender = Sender(
                outbox=self.ledger,
                catalogue=self,
                egress=egress,
                callbacks=self.callbacks,
                signals=self.signals,
                clock=self.clock,
                ids=self.ids,
            )
            running = asyncio.create_task(sender.run())
            try:
                yield sender
            finally:
                if stop:
                    await sender.stop()
                else:
                    running.cancel()
                await asyncio.gather(running, return_exceptions=not stop)


def statuses(records: list[DeliveryRecord]) -> Iterator[str]:
    return (record.status.value for record in records)


def by_target(records: list[DeliveryRecord]) -> Mapping[str, DeliveryRecord]:
    return {record.message.target.label: record for record in records}
