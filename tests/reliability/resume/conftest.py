"""Makes the forked daemons and the story of the integration tests importable."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "integration"))

from lives import Zygote


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """Where daemons are forked from."""
    with Zygote() as made:
        yield made
