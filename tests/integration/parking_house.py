"""An agent that asks a person for its writes, and what performs those that were approved."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from agent_house import AgentHouse, Held, HouseCatalogue

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.delivery.write_alerts import WriteAlerts
from amodal_rt.domain.automation import (
    Automation,
    Definition,
)
from amodal_rt.domain.connection import Access, AccessRule, Confirm
from amodal_rt.domain.parked import ParkedWrite
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.executors.acting.performing import ParkedWrites
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.parked import Pauses, Writes
from amodal_rt.ports import Caller, ParkedFilter

ASKING = Access(
    endpoints=(AccessRule(match="POST /deals", confirm=Confirm.APPROVE, reason="money"),),
    tools=(AccessRule(match="set_item", confirm=Confirm.APPROVE),),
)
BOSS = Caller(actor="boss", door="cli")


def asking_house(house: AgentHouse) -> AgentHouse:
    house.rest(access=ASKING)
    house.mcp(access=ASKING)
    return house


def writer(house: AgentHouse, **changed: Any) -> Automation:
    given: dict[str, Any] = {"write_enabled": True}
    return house.automation(**(given | changed))


async def kept(house: AgentHouse) -> list[ParkedWrite]:
    return (await house.ledger.list_parked(ParkedFilter()))[::-1]


@dataclass(frozen=True)
class Files(HouseCatalogue):
    """The house's workspace with one automation in it."""

    automation: Automation

    def snapshot(self) -> Snapshot:
        definition = Definition(
            automation=self.automation, hash="hash", document="{}", file="automations/auto.json"
        )
        state = AutomationState(name="auto", file=definition.file, definition=definition)
        return replace(self.house.snapshot(), automations={"auto": state})


@asynccontextmanager
async def performing(house: AgentHouse, automation: Automation) -> AsyncIterator[Writes]:
    """What decides, with what performs at work."""
    signals = ProcessSignals()
    performer = ParkedWrites(
        house.executor.services,
        ledger=house.ledger,
        catalogue=Files(house, automation),
        messages=WriteAlerts(house.ids),
        signals=signals,
        lease=Held(),
    )
    task = asyncio.create_task(performer.run())
    try:
        check = performer.checked
        facts = KnownFacts(house.ledger, signals)
        await facts.reread()
        pauses = Pauses(Files(house, automation), facts)
        yield Writes(
            house.ledger,
            pauses,
            check=check,
            pinned=performer.pinned,
            signals=signals,
            clock=house.clock,
        )
    finally:
        await performer.stop()
        await task
