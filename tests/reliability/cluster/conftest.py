"""A town for each test: three nodes, a database, the world around them."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

import random

import netns
import postgres_server
from needs import missing
from netns import Network
from town import Town

NODES = 3


@pytest.fixture(scope="session")
def reachable() -> None:
    """What the layer works with is there."""
    netns.need_namespaces()
    if lack := postgres_server.available():
        missing(lack)


@pytest.fixture
def network(reachable: None) -> Iterator[Network]:
    with netns.network(NODES) as made:
        yield made


@pytest.fixture
async def town(scene: Path, network: Network, rng: random.Random) -> AsyncIterator[Town]:
    async with Town(scene, network, rng) as opened:
        yield opened
