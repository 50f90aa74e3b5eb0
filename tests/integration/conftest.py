"""Makes `import agent_house` work: tests are imported by path, not as packages."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from agent_house import AgentHouse
from workflow_house import WorkflowHouse


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[AgentHouse]:
    """Agents over a real ledger, a model server, and a recorded service behind a connection."""
    async with AgentHouse(tmp_path) as built:
        yield built


@pytest_asyncio.fixture
async def flows(tmp_path: Path) -> AsyncIterator[WorkflowHouse]:
    """The same for workflows, whose scripts are the test's."""
    async with WorkflowHouse(tmp_path) as built:
        yield built
