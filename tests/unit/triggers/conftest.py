"""A scheduler over a ledger in memory, with time in the test's hands."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.definitions.automation import parse_automation
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.run import Run
from amodal_rt.domain.workspace import AutomationState, Snapshot, WorkspaceSettings
from amodal_rt.ids import SystemIds
from amodal_rt.ports import FACTS, SNAPSHOT, Caller, RunFilter
from amodal_rt.settings import Environment
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger import MemoryLedger
from amodal_rt.triggers.cron import Scheduler

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CALLER = Caller(actor="ada", door="cli")


class ClockAlarm:
    """Rings by the test's clock."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._at: datetime | None = None

    def set(self, at: datetime | None) -> None:
        self._at = at

    async def wait(self) -> None:
        if self._at is None:
            await asyncio.Event().wait()
        else:
            await self._clock.sleep((self._at - self._clock.now()).total_seconds())

    def close(self) -> None: ...


def definition(name: str, **keys: object) -> Definition:
    import json

    document = {"title": name.title(), "prompt": "x", **keys}
    parsed = parse_automation(
        json.dumps(document).encode(),
        file=f"automations/{name}.json",
        settings=WorkspaceSettings(),
        read_prompt=str,
    )
    assert parsed.definition is not None, parsed.problems
    return parsed.definition


@dataclass
class Shelf:
    """The catalogue: what the files say now."""

    signals: ProcessSignals
    current: Snapshot = field(default_factory=lambda: Snapshot(version=1))
    past: list[Definition] = field(default_factory=list[Definition])

    def snapshot(self) -> Snapshot:
        return self.current

    def environment(self) -> Environment:
        return Environment()

    async def versions(self, name: str) -> list[Definition]:
        return [each for each in self.past if each.automation.name == name]

    async def find_version(self, name: str, hash: str) -> Definition | None:
        return next((each for each in await self.versions(name) if each.hash == hash), None)

    def put(self, *definitions: Definition) -> None:
        self.past = [*reversed(definitions), *self.past]
        states = dict(self.current.automations)
        for each in definitions:
            name = each.automation.name
            states[name] = AutomationState(name=name, file=each.file, definition=each)
        self.replace(states)

    def take(self, name: str) -> None:
        self.replace({k: v for k, v in self.current.automations.items() if k != name})

    def replace(self, states: dict[str, AutomationState]) -> None:
        version = self.current.version + 1
        self.current = replace(self.current, version=version, automations=states)
        self.signals.notify(SNAPSHOT)


@dataclass
class Desk:
    """What a test of schedules needs."""

    clock: FakeClock
    ledger: MemoryLedger
    signals: ProcessSignals
    shelf: Shelf

    def scheduler(self, *, tick_seconds: float = 86_400) -> Scheduler:
        """One that has not begun."""
        scheduler = Scheduler(
            catalogue=self.shelf,
            ledger=self.ledger,
            facts=self.ledger,
            signals=self.signals,
            clock=self.clock,
            ids=SystemIds(self.clock),
            alarm=ClockAlarm(self.clock),
            tick_seconds=tick_seconds,
        )
        scheduler.look_back_with(self.shelf)
        return scheduler

    @asynccontextmanager
    async def scheduling(self, *, tick_seconds: float = 86_400) -> AsyncIterator[None]:
        """A scheduler runs for as long as the block."""
        task = asyncio.create_task(self.scheduler(tick_seconds=tick_seconds).run())
        await self.clock.settle()
        try:
            yield
            assert not task.done(), "the scheduler ended by itself"
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def pause(self, name: str, *, paused: bool = True) -> None:
        await self.ledger.set_paused(
            name, paused=paused, reason=None, caller=CALLER, at=self.clock.now()
        )
        self.signals.notify(FACTS)
        await self.clock.settle()

    async def runs(self, name: str = "job") -> list[Run]:
        found = await self.ledger.list_runs(RunFilter(automation=name, limit=10_000))
        return sorted(found, key=lambda each: each.scheduled_for or each.created_at)

    async def said(self, name: str = "job") -> list[tuple[str, str, str, int]]:
        """Slot (hour:minute), status or reason, trigger and count of each row, in time's order."""
        return [
            (
                f"{run.scheduled_for:%H:%M}" if run.scheduled_for else "-",
                run.reason or run.status.value,
                run.trigger.value,
                run.count,
            )
            for run in await self.runs(name)
        ]


@pytest.fixture
def desk() -> Desk:
    clock = FakeClock(NINE)
    signals = ProcessSignals()
    return Desk(clock, MemoryLedger(clock=clock), signals, Shelf(signals))


@pytest.fixture
def make() -> Callable[..., Definition]:
    return definition


MINUTE = timedelta(minutes=1)
