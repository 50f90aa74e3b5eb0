"""The command line: `ops automations list` against an empty interpreter."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.daemon import daemon, workspace
from bench.report import Figure

ROUNDS = 25


def measure() -> list[Figure]:
    """Both commands in turn, so that a slow moment of the machine hits both."""
    files: dict[str, object] = {
        f"automations/job-{number:02}.json": {
            "title": f"Job {number}",
            "schedule": "0 9 * * 1-5",
            "prompt": "x",
        }
        for number in range(20)
    }
    ops = str(Path(sys.executable).with_name("ops"))
    with workspace(files) as root, daemon(root):
        environment = {**os.environ, "AMODAL_RT_WORKSPACE": str(root)}
        # A user's interpreter keeps compiled modules; so must this one.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        listing: list[float] = []
        empty: list[float] = []
        for _ in range(ROUNDS):
            listing.append(_time([ops, "automations", "list"], environment))
            empty.append(_time([sys.executable, "-c", "pass"], environment))
    return [
        Figure(
            name="ops automations list",
            value=statistics.median(listing),
            unit="ms",
            baseline=statistics.median(empty),
            baseline_name="python -c pass",
            aim="≤ 4 ×",
            at_most=4,
            of_ratio=True,
        )
    ]


def _time(command: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000
