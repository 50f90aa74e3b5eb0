"""What a node says of its files to the others."""

import asyncio
from dataclasses import replace

from amodal_rt.daemon.holding import RETRY_SECONDS, Holding
from amodal_rt.daemon.nodes import LEASE
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.definitions.automation import parse_automation
from amodal_rt.domain import schedule
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.trigger import Schedule
from amodal_rt.domain.workspace import AutomationState, Snapshot, WorkspaceSettings
from amodal_rt.ports import SNAPSHOT
from amodal_rt.settings import Environment
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger import MemoryLedger

MINUTELY = schedule.fingerprint(Schedule(cron="* * * * *"))


class Shelf:
    """The catalogue."""

    def __init__(self) -> None:
        self.current = Snapshot(version=1)

    def snapshot(self) -> Snapshot:
        return self.current

    def environment(self) -> Environment:
        return Environment()

    def put(self, name: str, keys: str, *, blocked: bool = False) -> None:
        parsed = parse_automation(
            f'{{"title": "T", "prompt": "x"{keys}}}'.encode(),
            file=f"automations/{name}.json",
            settings=WorkspaceSettings(),
            read_prompt=str,
        )
        problem = Problem(file="x", code="env_missing", message="unset")
        state = AutomationState(
            name=name,
            file="x",
            definition=parsed.definition,
            blocked=(problem,) if blocked else (),
        )
        states = {**self.current.automations, name: state}
        self.current = replace(self.current, version=self.current.version + 1, automations=states)


async def test_it_tells_every_name_and_the_schedules_that_count() -> None:
    clock, shelf, signals = FakeClock(), Shelf(), ProcessSignals()
    ledger = MemoryLedger(clock=clock)
    other = MemoryLedger(ledger.store, clock=clock)
    every = ', "trigger": "cron", "schedule": "* * * * *"'
    shelf.put("live", every)
    shelf.put("draft", every + ', "status": "draft"')
    shelf.put("blocked", every, blocked=True)
    holding = Holding(ledger=ledger, catalogue=shelf, signals=signals, clock=clock)
    await holding.tell()
    await ledger.join(host="h", pid=1, version="1", lease=LEASE)

    assert await other.held_by_others() == {
        "live": frozenset({MINUTELY}),
        "draft": frozenset(),
        "blocked": frozenset(),
    }


async def test_it_tells_every_snapshot_also_one_that_the_ledger_refused_first() -> None:
    clock, shelf, signals = FakeClock(), Shelf(), ProcessSignals()
    ledger = MemoryLedger(clock=clock)
    other = MemoryLedger(ledger.store, clock=clock)
    holding = Holding(ledger=ledger, catalogue=shelf, signals=signals, clock=clock)
    await holding.tell()
    await ledger.join(host="h", pid=1, version="1", lease=LEASE)
    task = asyncio.create_task(holding.run())
    await clock.settle()

    ledger.faults.fail_next()
    shelf.put("hook", ', "trigger": "webhook"')
    signals.notify(SNAPSHOT)
    for _ in range(1000):
        # It reads the files beside the loop.
        await asyncio.to_thread(int)
        await clock.advance(RETRY_SECONDS)
        if await other.held_by_others():
            break

    assert await other.held_by_others() == {"hook": frozenset()}
    task.cancel()
    await asyncio.wait([task])
