"""Makes `import fault_vfs` work: tests are imported by path, not as packages."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "integration"))

from lives import Zygote


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Where daemons are forked from."""
    with Zygote() as made:
        yield made
