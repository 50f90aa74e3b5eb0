"""Every implementation of the ledger's ports, one after another, behind one fixture."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import ledger_values as given
import postgres_server

from amodal_rt.ports import Ledger
from amodal_rt.storage.postgres import PostgresLedger
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.testing.ledger import MemoryLedger


@pytest.fixture
def clock() -> given.HeldClock:
    return given.HeldClock()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty ledger on PostgreSQL."""
    with postgres_server.fresh_ledger() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres", "memory"])
async def ledger(
    request: pytest.FixtureRequest, tmp_path: Path, clock: given.HeldClock
) -> AsyncIterator[Ledger]:
    if request.param == "memory":
        yield MemoryLedger(clock=clock)
        return
    if request.param == "postgres":
        async with PostgresLedger(request.getfixturevalue("database"), clock=clock) as opened:
            yield opened
        return
    async with SqliteLedger(tmp_path / "ledger.db", clock=clock) as opened:
        yield opened


@pytest.fixture
async def another(
    request: pytest.FixtureRequest, ledger: Ledger, tmp_path: Path, clock: given.HeldClock
) -> AsyncIterator[Ledger]:
    """A second node's ledger over the database of `ledger`."""
    if isinstance(ledger, MemoryLedger):
        yield MemoryLedger(ledger.store, clock=clock)
        return
    if isinstance(ledger, PostgresLedger):
        async with PostgresLedger(request.getfixturevalue("database"), clock=clock) as opened:
            yield opened
        return
    async with SqliteLedger(tmp_path / "ledger.db", clock=clock) as opened:
        yield opened


@pytest.fixture
async def run_id(ledger: Ledger) -> str:
    """A run that is running."""
    return (await given.running(ledger)).run_id
