"""One desk a test: the verbs over a real ledger."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from asking import Asking
from desk import Desk, open_desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncGenerator[Desk, None]:
    """Every verb, and what stands behind it."""
    async with open_desk(tmp_path) as opened:
        yield opened


@pytest.fixture
def asking(desk: Desk) -> Asking:
    """`test-event` over the desk."""
    return Asking(desk)
