"""What a daemon does not load before it is ready."""

import subprocess
import sys

import pytest

from amodal_rt.delivery.writing import load_templates


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """The modules of a process that is about to serve."""
    script = "import sys, amodal_rt.daemon.lifecycle; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "heavy",
    ["pydantic_ai", "openai", "anthropic", "mcp", "alembic", "liquid", "sqlalchemy.orm", "typer"],
)
def test_nothing_heavy_stands_in_the_way_of_readiness(loaded: set[str], heavy: str) -> None:
    assert heavy not in loaded


def test_what_serves_is_loaded(loaded: set[str]) -> None:
    """Guards the test above: a list of nothing would hold every name."""
    assert {"aiohttp", "sqlalchemy", "amodal_rt.engine.runner"} <= loaded


def test_templates_are_loaded_when_a_workspace_has_some() -> None:
    load_templates()

    assert "liquid" in sys.modules
