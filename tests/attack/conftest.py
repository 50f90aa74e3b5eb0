"""The frame of the attack suite: figures of each part, and the file of all."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

PARTS = "AMODAL_RT_ATTACK_PARTS"
"""A folder in which each part leaves its figures, so that processes of one run share them."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--attacks", default=None, metavar="FILE", help="where to write the figures")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ.setdefault(PARTS, str(Path(config.rootpath, "build", "attack")))
        folder = Path(os.environ[PARTS])
        folder.mkdir(parents=True, exist_ok=True)
        for each in folder.glob("*.json"):
            each.unlink()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """A line for each part; the file that `--attacks` names."""
    if hasattr(config, "workerinput"):
        return
    parts = {each.stem: json.loads(each.read_text()) for each in _parts()}
    for name, figures in sorted(parts.items()):
        shown = {key: value for key, value in figures.items() if not isinstance(value, list)}
        terminalreporter.write_line(f"attack {name}: {json.dumps(shown)}")
    if (path := config.getoption("--attacks")) and parts:
        Path(path).write_text(json.dumps(parts, indent=2, sort_keys=True) + "\n")


def _parts() -> Iterator[Path]:
    yield from Path(os.environ[PARTS]).glob("*.json")


@pytest.fixture
def record() -> Callable[[str, Mapping[str, object]], None]:
    """Keeps the figures of one part."""

    def keep(name: str, figures: Mapping[str, object]) -> None:
        path = Path(os.environ[PARTS], f"{name}.json")
        path.write_text(json.dumps(dict(figures), indent=2))

    return keep
