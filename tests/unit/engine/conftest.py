"""An engine over a real ledger, with a scripted executor and time in the test's hands."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.definitions.automation import parse_automation
from amodal_rt.delivery.planner import DeliveryPlanner
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.domain.workspace import (
    AutomationState,
    Snapshot,
    WorkspaceLimits,
    WorkspaceSettings,
)
from amodal_rt.engine.runner import Engine
from amodal_rt.ids import SystemIds
from amodal_rt.ports import RUNS_PENDING, SNAPSHOT, Caller, OutcomePlanner, RunContext, RunFilter
from amodal_rt.settings import Environment
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.testing.clock import FakeClock
from amodal_rt.triggers.starts import start_for

CALLER = Caller(actor="ada", door="cli")
Work = Callable[[RunContext], Awaitable[Outcome | Waiting]]
DONE = Outcome(status=RunStatus.COMPLETED, text="done", model="test:model")


class Scripted:
    """An executor that does what the test says, and remembers how many ran at once."""

    def __init__(self) -> None:
        self.work: Work = self._done
        self.running = 0
        self.most = 0
        self.contexts: list[RunContext] = []

    async def _done(self, context: RunContext) -> Outcome:
        return DONE

    async def execute(self, context: RunContext) -> Outcome | Waiting:
        self.contexts.append(context)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            return await self.work(context)
        finally:
            self.running -= 1


@dataclass
class Shelf:
    """The catalogue: what the files say now."""

    current: Snapshot = field(default_factory=lambda: Snapshot(version=1))
    versions: dict[tuple[str, str], Definition] = field(default_factory=dict)

    def snapshot(self) -> Snapshot:
        return self.current

    def environment(self) -> Environment:
        return Environment()

    async def find_version(self, name: str, hash: str) -> Definition | None:
        return self.versions.get((name, hash))


@dataclass
class Word:
    """A lease that is held or not, as the test says."""

    good: bool = True

    def held(self) -> bool:
        return self.good


@dataclass
class Desk:
    """What a test of the engine needs."""

    clock: FakeClock
    ledger: SqliteLedger
    signals: ProcessSignals
    shelf: Shelf = field(default_factory=Shelf)
    executor: Scripted = field(default_factory=Scripted)
    limits: WorkspaceLimits = field(default_factory=WorkspaceLimits)
    planner: OutcomePlanner | None = None
    lease: Word = field(default_factory=Word)

    def put(self, name: str, **keys: object) -> Definition:
        document = {"title": name.title(), "prompt": "x", **keys}
        parsed = parse_automation(
            json.dumps(document).encode(),
            file=f"automations/{name}.json",
            settings=WorkspaceSettings(),
            read_prompt=str,
        )
        assert parsed.definition is not None, parsed.problems
        state = AutomationState(
            name=name, file=parsed.definition.file, definition=parsed.definition
        )
        self.replace({**self.shelf.current.automations, name: state})
        return parsed.definition

    def block(self, name: str, problem: Problem) -> None:
        """What the file needs is not there any more."""
        state = replace(self.shelf.current.automations[name], blocked=(problem,))
        self.replace({**self.shelf.current.automations, name: state})

    def take(self, name: str) -> None:
        self.replace({k: v for k, v in self.shelf.current.automations.items() if k != name})

    def replace(self, states: dict[str, AutomationState]) -> None:
        self.shelf.current = Snapshot(
            version=self.shelf.current.version + 1,
            settings=WorkspaceSettings(limits=self.limits),
            automations=states,
        )
        self.signals.notify(SNAPSHOT)

    async def start(
        self,
        definition: Definition,
        kind: TriggerKind = TriggerKind.MANUAL,
        *,
        rehearse: bool = False,
    ) -> str:
        start = start_for(
            definition,
            kind,
            ids=SystemIds(self.clock),
            now=self.clock.now(),
            caller=CALLER,
            rehearse=rehearse,
        )
        (ref,) = await self.ledger.admit([start])
        self.signals.notify(RUNS_PENDING)
        return ref.run_id

    def engine(self) -> Engine:
        return Engine(
            ledger=self.ledger,
            catalogue=self.shelf,
            executor=self.executor,
            planner=self.planner or DeliveryPlanner(SystemIds(self.clock)),
            signals=self.signals,
            clock=self.clock,
            mask=lambda text: text.replace("s3cret", "[secret]"),
            lease=self.lease,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Engine]:
        """An engine runs for as long as the block."""
        engine = self.engine()
        await engine.recover()
        task = asyncio.create_task(engine.run())
        try:
            await self.clock.settle()
            yield engine
        finally:
            stopping = asyncio.create_task(engine.stop(0))
            while not stopping.done():
                await self.clock.advance(1)
            await asyncio.wait([task])

    async def run(self, run_id: str) -> Run:
        found = await self.ledger.find_run(run_id)
        assert found is not None
        return found

    async def runs(self, name: str | None = None) -> list[Run]:
        return await self.ledger.list_runs(RunFilter(automation=name, limit=1000))


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock = FakeClock()
    async with SqliteLedger(tmp_path / "ledger.sqlite", clock=clock) as ledger:

        async def elsewhere() -> None:
            # Through the writer and both readers: one that lags would be outrun on a busy machine.
            # To forget what is not there writes nothing, so that no disk is waited for.
            await ledger.remove_remote_trigger("settled", "settled")
            await asyncio.gather(ledger.fact("settled"), ledger.fact("settled"))

        clock.settle_with(elsewhere)
        yield Desk(clock, ledger, ProcessSignals())
