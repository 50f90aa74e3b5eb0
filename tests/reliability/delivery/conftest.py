"""Makes the lives of a sender importable; they are forked from one process."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "delivery"))

from delivery_life import Lives  # pyright: ignore[reportMissingImports]


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    """Where the processes come from."""
    with Lives() as made:
        yield made
