"""The frame of the reliability suites: scale, seed, figures, a folder for each scene.

`make reliability` runs them in full and writes RELIABILITY.json; CI runs about a third.
"""

import hashlib
import os
import random
import secrets
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import figures as figures_module
from figures import FOLDER, Figures
from promised import shortfalls
from result import write_result
from scale import scale, scaled

HERE = Path(__file__).parent
SEED = "AMODAL_RT_SEED"
CI_SEED = 20_260_101
"""CI repeats itself: what is red there is red again. The other scales draw a new seed."""
_failed = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("reliability")
    group.addoption("--seed", type=int, default=None, help="what every random choice comes from")
    group.addoption("--figures", default=None, metavar="FILE", help="where to write the figures")


def pytest_configure(config: pytest.Config) -> None:
    """Processes of the run inherit the seed and the folder of the parts."""
    if hasattr(config, "workerinput"):
        return
    asked = config.getoption("--seed")
    drawn = CI_SEED if scale() == "ci" else secrets.randbelow(2**31)
    os.environ[SEED] = str(asked if asked is not None else os.environ.get(SEED) or drawn)
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="figures-")


def pytest_report_header(config: pytest.Config) -> str:
    return f"reliability: scale {scale()}, --seed {os.environ[SEED]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Work is bound by counts; the time limit only ends what hangs."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(scaled(ci=600, full=3600, soak=12 * 3600)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_failed] = True
        again = f"AMODAL_RT_RELIABILITY={scale()} python -m pytest '{item.nodeid}'"
        report.sections.append(("reproduce", f"{again} --seed {os.environ[SEED]}"))
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The figures of each layer, and the file of all."""
    if hasattr(config, "workerinput"):
        return
    parts = figures_module.read_parts(Path(os.environ[FOLDER]))
    if parts:
        terminalreporter.section(f"reliability, scale {scale()}, seed {os.environ[SEED]}")
    for layer, found in figures_module.by_layer(parts).items():
        terminalreporter.write_line(f"{layer}: {' '.join(f'{k}={v}' for k, v in found.items())}")
    if file := config.getoption("--figures"):
        outcomes = {
            name: len(terminalreporter.stats.get(name, []))
            for name in ("passed", "failed", "error", "skipped")
        }
        document = write_result(
            Path(file), parts, outcomes, scale=scale(), seed=int(os.environ[SEED])
        )
        terminalreporter.write_line(f"written: {file}")
        for sentence in _unkept(config, document):
            terminalreporter.write_line(f"not as promised: {sentence}", red=True)
            # All green and not all done is red, too.
            assert terminalreporter._session is not None
            terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _unkept(config: pytest.Config, document: Mapping[str, Any]) -> list[str]:
    """What a full and whole run should have done and did not."""
    whole = scale() == "full" and [Path(each).resolve() for each in config.args] == [HERE]
    return list(shortfalls(document)) if whole else []


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(FOLDER, ""), ignore_errors=True)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    """`figures.add("kills")`, `figures.note("p99_ms", 12)`; kept also when the test fails."""
    path = request.node.path.relative_to(HERE)
    layer = path.parts[0] if len(path.parts) > 1 else path.stem.removeprefix("test_")
    counted = Figures(layer, request.node.nodeid)
    yield counted
    counted.save()


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A number of this test's own, made of the run's seed and the test's name."""
    text = f"{os.environ[SEED]}:{request.node.nodeid}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


@pytest.fixture
def rng(seed: int) -> random.Random:
    """Randomness from `seed`."""
    return random.Random(seed)


@pytest.fixture
def scene(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder with a short name (a socket's path has 107 bytes at most); kept if the test
    failed, so that its histories, ledgers and logs can be read."""
    folder = Path(tempfile.mkdtemp(prefix="rel-"))
    yield folder
    if request.node.stash.get(_failed, False):
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
