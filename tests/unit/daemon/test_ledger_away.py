"""Whatever asks a ledger again and again that is away says so ever more rarely, and its end."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from amodal_rt.daemon.holding import Holding
from amodal_rt.daemon.nodes import LocalLease, Membership
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.delivery.callbacks import Callbacks
from amodal_rt.delivery.sender import Sender
from amodal_rt.delivery.watching import Watch
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.guardrails.egress import Egress
from amodal_rt.ids import SystemIds
from amodal_rt.settings import Environment
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger import MemoryLedger
from amodal_rt.triggers.bus import Bus
from amodal_rt.triggers.matching import Matching

SECONDS = 300
Loop = Callable[[], Coroutine[None, None, None]]


class Nothing:
    """No files, no runs, nobody who waits."""

    def snapshot(self) -> Snapshot:
        return Snapshot(version=1)

    def environment(self) -> Environment:
        return Environment()

    async def recover(self) -> None: ...

    def abandon(self) -> None: ...

    async def obey_cancels(self) -> None: ...


class House:
    """The loops of a daemon over a ledger in memory."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ledger = MemoryLedger(clock=self.clock)
        self.signals = ProcessSignals()

    def sender(self) -> Loop:
        return Sender(
            outbox=self.ledger,
            catalogue=Nothing(),
            egress=Egress(()),
            callbacks=Callbacks(),
            signals=self.signals,
            clock=self.clock,
            ids=SystemIds(self.clock),
        ).run

    def watch(self) -> Loop:
        return Watch(
            ledger=self.ledger,
            catalogue=Nothing(),
            signals=self.signals,
            clock=self.clock,
            ids=SystemIds(self.clock),
        ).run

    def holding(self) -> Loop:
        return Holding(
            ledger=self.ledger, catalogue=Nothing(), signals=self.signals, clock=self.clock
        ).run

    def node(self) -> Loop:
        return Membership(
            ledger=self.ledger,
            lease=LocalLease(self.clock),
            carries=Nothing(),
            signals=self.signals,
            clock=self.clock,
            shared=False,
        ).keep

    def bus(self) -> Loop:
        return Bus(
            ledger=self.ledger,
            catalogue=Nothing(),
            matching=Matching(SystemIds(self.clock)),
            signals=self.signals,
            clock=self.clock,
        ).run


@pytest.mark.parametrize(
    ("loop", "begins", "ends"),
    [
        (House.sender, "delivery.ledger_away", "delivery.ledger_back"),
        (House.watch, "workspace.not_watched", "workspace.watched"),
        (House.holding, "node.ledger_away", "node.ledger_back"),
        (House.node, "node.ledger_away", "node.ledger_back"),
        (House.bus, "bus.waits", "bus.resumed"),
    ],
)
async def test_a_ledger_that_is_away_fills_no_log(
    loop: Callable[[House], Loop], begins: str, ends: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "amodal_rt")
    house = House()
    house.ledger.faults.away = True
    running = asyncio.ensure_future(loop(house)())
    for _ in range(SECONDS):
        await house.clock.advance(1)
    away = [each.getMessage() for each in caplog.records]
    house.ledger.faults.away = False
    async with asyncio.timeout(10):
        # Some look at the files in a thread, which no held clock waits for.
        while ends not in [each.getMessage() for each in caplog.records]:
            await house.clock.advance(60)
    running.cancel()
    await asyncio.wait([running])

    said = [each.getMessage() for each in caplog.records]
    assert away == [begins] * len(away)
    assert 1 <= len(away) <= 8
    assert said[len(away) :].count(ends) == 1
    assert begins not in said[len(away) :]
