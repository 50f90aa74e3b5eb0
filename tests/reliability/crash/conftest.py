"""Makes the crash layer's own modules, the forked daemons and the acceptance tests' stubs
importable."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "acceptance"))
sys.path.insert(0, str(Path(__file__).parents[2] / "integration"))
sys.path.insert(0, str(Path(__file__).parent))

from lives import Zygote
from world import World


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    """Where daemons are forked from."""
    with Zygote() as made:
        yield made


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The model, the services and the receivers of all scenes of a module."""
    with World() as made:
        yield made
