"""Fixtures of the pressure suites: daemons as processes, and everything they lean on."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "acceptance"))
sys.path.insert(0, str(Path(__file__).parents[2] / "integration"))
sys.path.insert(0, str(Path(__file__).parent))

from stub_model import Model


@pytest.fixture
def model() -> Iterator[Model]:
    """A model provider that speaks OpenAI's Chat Completions."""
    with Model() as served:
        yield served
