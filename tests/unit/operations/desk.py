"""The verbs over a real ledger and a catalogue that a test sets by hand."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.automation import AgentWork, Automation, ChatMessage, Definition, Lifecycle
from amodal_rt.domain.trigger import CronTrigger, ManualTrigger, Schedule, Trigger, WebhookTrigger
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.ids import SystemIds
from amodal_rt.intake.endpoints import Endpoints
from amodal_rt.operations.address import Address
from amodal_rt.operations.automations import Automations
from amodal_rt.operations.changes import Changes
from amodal_rt.operations.deliveries import Deliveries
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.runs import Runs
from amodal_rt.operations.starting import Starting
from amodal_rt.ports import Caller
from amodal_rt.settings import Environment
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.workspace.rewrite import Witness

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = Caller(actor="ada", door="cli")


class ShiftedClock(SystemClock):
    """The machine's clock, set to another day; elapsed time is real."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def now(self) -> datetime:
        return NOW + self.offset


class Files:
    """Implements `ports.Catalogue` over definitions that a test adds."""

    def __init__(self) -> None:
        self.current = Snapshot(version=1)

    def snapshot(self) -> Snapshot:
        return self.current

    def environment(self) -> Environment:
        return Environment()

    def add(self, state: AutomationState) -> None:
        self.current = Snapshot(
            version=self.current.version + 1,
            settings=self.current.settings,
            automations={**self.current.automations, state.name: state},
            connections=self.current.connections,
            stores=self.current.stores,
        )


def definition(
    name: str, *triggers: Trigger, status: Lifecycle = Lifecycle.ACTIVE, **more: object
) -> Definition:
    """A version of an automation; its file says `status` in line 4."""
    return Definition(
        automation=Automation(
            name=name,
            title=name.replace("-", " ").title(),
            work=AgentWork(messages=(ChatMessage("user", "Look around."),)),
            triggers=triggers or (ManualTrigger(),),
            status=status,
            **more,  # pyright: ignore[reportArgumentType]
        ),
        hash=hashlib.sha256(f"{name} {triggers} {status} {more}".encode()).hexdigest(),
        document="{}",
        file=f"automations/{name}.json",
        lines={"/status": 4},
    )


def live(found: Definition) -> AutomationState:
    """A file in order."""
    return AutomationState(name=found.automation.name, file=found.file, definition=found)


def cron(expression: str = "0 9 * * *", zone: str = "UTC") -> CronTrigger:
    return CronTrigger(schedule=Schedule(cron=expression, timezone=zone), key=f"cron:{expression}")


def webhook() -> WebhookTrigger:
    return WebhookTrigger()


@dataclass
class Desk:
    """Every verb, and what stands behind it."""

    ledger: SqliteLedger
    files: Files
    clock: ShiftedClock
    ids: SystemIds
    signals: ProcessSignals
    facts: KnownFacts
    starting: Starting
    address: Address
    changes: Changes
    automations: Automations
    runs: Runs
    deliveries: Deliveries
    written: list[tuple[str, Lifecycle]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    asked_to_cancel: asyncio.Event = field(default_factory=asyncio.Event)

    def cancel_running(self, run_id: str) -> bool:
        self.cancelled.append(run_id)
        self.asked_to_cancel.set()
        return True


@asynccontextmanager
async def open_desk(folder: Path) -> AsyncGenerator[Desk, None]:
    """A desk over a new ledger in `folder`."""
    clock, signals, files = ShiftedClock(), ProcessSignals(), Files()
    ids = SystemIds(clock)
    async with SqliteLedger(folder / "ledger.sqlite", clock=clock, ids=ids) as ledger:
        facts = KnownFacts(ledger, signals)
        starting = Starting(files, ledger, signals=signals, clock=clock, ids=ids)
        address = Address(files, Endpoints(b"key", files, ledger))
        address.bound = "http://127.0.0.1:3847"
        changes = Changes(ledger, root=folder, place="here", clock=clock, ids=ids)
        written: list[tuple[str, Lifecycle]] = []

        async def write_status(name: str, status: Lifecycle, witness: Witness) -> None:
            written.append((name, status))
            before = files.current.automations[name].definition
            assert before is not None
            files.add(live(definition(name, *before.automation.triggers, status=status)))

        class Control:
            desk: Desk | None = None

            def cancel_running(self, run_id: str) -> bool:
                assert self.desk is not None
                return self.desk.cancel_running(run_id)

        control = Control()
        control.desk = Desk(
            ledger=ledger,
            files=files,
            clock=clock,
            ids=ids,
            signals=signals,
            facts=facts,
            starting=starting,
            address=address,
            changes=changes,
            automations=Automations(
                files, ledger, facts, starting,
                address=address, write_status=write_status, changes=changes, clock=clock,
            ),
            runs=Runs(ledger, control, starting, signals=signals, clock=clock),
            deliveries=Deliveries(ledger, signals=signals, clock=clock),
            written=written,
        )  # fmt: skip
        yield control.desk
