"""Every implementation of the ledger's ports, one after another, behind one fixture."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ledger_values as given

from amodal_rt.ports import Ledger
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.testing.ledger import MemoryLedger


@pytest.fixture
def clock() -> given.HeldClock:
    return given.HeldClock()


@pytest.fixture(params=["sqlite", "memory"])
async def ledger(
    request: pytest.FixtureRequest, tmp_path: Path, clock: given.HeldClock
) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger(clock=clock)
        return
    async with SqliteLedger(tmp_path / "ledger.db", clock=clock) as opened:
        yield opened


@pytest.fixture
async def another(ledger: Ledger, tmp_path: Path, clock: given.HeldClock) -> AsyncIterator[Ledger]:
    """A second node's ledger over the database of `ledger`."""
    if isinstance(ledger, MemoryLedger):
        yield MemoryLedger(ledger.store, clock=clock)
        return
    async with SqliteLedger(tmp_path / "ledger.db", clock=clock) as opened:
        yield opened
