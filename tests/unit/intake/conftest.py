"""A workspace of one webhook automation, as the intake sees it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from intake_house import House


@pytest.fixture
def house() -> Callable[..., House]:
    return House
