"""Fixtures of the acceptance tests: the built wheel, a clean home, daemons and stub services.

Tests here know the program only by what it promises outside: files, sockets, commands.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from files import Workspace
from installed import Installed, install_wheel
from outside import Site
from stub_http import Stub
from stub_model import Model


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of this tree in an environment of its own, made without the network."""
    return install_wheel(tmp_path_factory.mktemp("wheel"))


def _site(installed: Installed) -> Iterator[Site]:
    # Short, because a socket's path may have no more than 107 bytes.
    root = Path(tempfile.mkdtemp(prefix="art-"))
    site = Site(installed, root)
    try:
        yield site
    finally:
        site.close()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def site(installed: Installed) -> Iterator[Site]:
    """An empty folder with a home of its own, for one test."""
    yield from _site(installed)


@pytest.fixture(scope="module")
def shared_site(installed: Installed) -> Iterator[Site]:
    """The same, for all tests of a module."""
    yield from _site(installed)


@pytest.fixture
def model() -> Iterator[Model]:
    """A model provider that speaks OpenAI's Chat Completions."""
    with Model() as served:
        yield served


@pytest.fixture(scope="module")
def shared_model() -> Iterator[Model]:
    """The same, for all tests of a module."""
    with Model() as served:
        yield served


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is an acceptance test and may take its time."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.acceptance)
            if not any(True for _ in item.iter_markers("timeout")):
                item.add_marker(pytest.mark.timeout(120))


@pytest.fixture
def files(site: Site, model: Model) -> Workspace:
    """The workspace of `site`, whose agents are served by `model`."""
    made = Workspace(site.workspace)
    made.settings(model.settings())
    made.secrets(MODEL_KEY="key")
    return made


@pytest.fixture
def receiver() -> Iterator[Stub]:
    """What results are sent to."""
    with Stub() as stub:
        yield stub
