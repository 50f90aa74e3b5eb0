"""What tests of sending share, and `import delivery_desk`: tests are imported by path."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from amodal_rt.testing.receiver import Receiver

sys.path.insert(0, str(Path(__file__).parent))

from delivery_desk import Desk
from watch_scene import Scene


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "ledger.db")
    async with made.ledger:
        yield made


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """The workspace's watch over a real ledger."""
    made = Scene(tmp_path / "ledger.db")
    async with made.ledger:
        yield made
