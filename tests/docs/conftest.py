"""A real daemon of the example workspace, and the pages as data."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# Tests are imported by path, and so are the makers of the pages.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

from doc_daemon import Daemon


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Serves a copy of `automations.example/` until the session ends."""
    served = Daemon(tmp_path_factory.mktemp("docs"))
    try:
        served.start()
        yield served
    finally:
        served.stop()
