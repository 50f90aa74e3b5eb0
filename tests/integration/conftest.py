"""Makes `import agent_house` work: tests are imported by path, not as packages."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "delivery"))

from agent_house import AgentHouse
from delivery_desk import Desk  # pyright: ignore[reportMissingImports]
from parking_house import asking_house
from workflow_house import WorkflowHouse

from amodal_rt.testing.receiver import Receiver


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[AgentHouse]:
    """Agents over a real ledger, a model server, and a recorded service behind a connection."""
    async with AgentHouse(tmp_path) as built:
        yield built


@pytest.fixture
def asking(house: AgentHouse) -> AgentHouse:
    """The same house, where each write over `crm` and of `set_item` needs a person."""
    return asking_house(house)


@pytest_asyncio.fixture
async def flows(tmp_path: Path) -> AsyncIterator[WorkflowHouse]:
    """The same for workflows, whose scripts are the test's."""
    async with WorkflowHouse(tmp_path) as built:
        yield built


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A sender of deliveries over a real ledger, on a held clock."""
    made = Desk(tmp_path / "ledger.db")
    async with made.ledger:
        yield made


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """The target of deliveries, on a real socket."""
    async with Receiver() as made:
        yield made
