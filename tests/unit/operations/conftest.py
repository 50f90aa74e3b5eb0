"""One desk a test: the verbs over a real ledger."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from desk import Desk, open_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk, None]:
    """Every verb, and what stands behind it."""
    async with open_desk(tmp_path) as opened:
        yield opened
