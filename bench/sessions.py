"""Agent sessions: from the start of a run to the model's first request, and memory after one."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from amodal_rt.clock import parse_iso
from bench.daemon import Daemon, daemon, workspace
from bench.doors import free_port, wait_for
from bench.report import Figure

ROUNDS = 40
WARM = 5


def measure() -> list[Figure]:
    """Both against the same provider process, one after the other, warm."""
    with tempfile.TemporaryDirectory() as folder, provider(Path(folder)) as (url, arrivals):
        bare = _bare(url, arrivals)
        with workspace(agent_files(url)) as root, daemon(root) as running:
            idle = running.memory_mb()
            ours = _ours(running, arrivals)
            after = running.memory_mb()
    return [
        Figure(
            name=f"start of a run → first model request (median of {ROUNDS})",
            value=ours,
            unit="ms",
            baseline=bare,
            baseline_name="bare pydantic-ai run",
            aim="≤ 1.5 ×",
            at_most=1.5,
            of_ratio=True,
        ),
        Figure(name="memory idle, one automation", value=idle, unit="MB"),
        Figure(
            name=f"memory after {ROUNDS + WARM} agent runs",
            value=after,
            unit="MB",
            aim="< 250 MB",
            at_most=250,
        ),
    ]


def agent_files(url: str) -> dict[str, object]:
    return {
        "automations/work.json": {"title": "Work", "prompt": "Say done.", "connections": []},
        "amodal.json": {
            "model": "bench:small",
            "providers": {
                "bench": {"type": "openai-compatible", "baseUrl": url, "apiKey": "env:BENCH_KEY"}
            },
        },
        ".env": "BENCH_KEY=bench-key-for-the-stub\n",
    }


def _ours(running: Daemon, arrivals: Path) -> float:
    latencies: list[float] = []
    for _ in range(WARM + ROUNDS):
        before = len(_lines(arrivals))
        run = running.client.post("/v1/automations/work/trigger", {})
        # Nobody asks the daemon for anything until the request is out: the answer to a
        # question would be part of the figure.
        _until(partial(_has_more, arrivals, before))
        done = _finished(running, run["run_id"])
        started = parse_iso(done["started_at"]).timestamp()
        latencies.append((_lines(arrivals)[before] - started) * 1000)
    return statistics.median(latencies[WARM:])


def _finished(running: Daemon, run_id: str) -> dict[str, Any]:
    for _ in running.client.lines(f"/v1/runs/{run_id}/journal", {"follow": "1"}):
        pass
    done: dict[str, Any] = running.client.get(f"/v1/runs/{run_id}")
    if done["status"] != "completed":
        raise RuntimeError(f"a run failed: {done['error']}")
    return done


def _has_more(arrivals: Path, before: int) -> bool:
    return len(_lines(arrivals)) > before


def _until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not met():
        if time.monotonic() > end:
            raise RuntimeError("the model was never asked")
        time.sleep(0.002)


def _bare(url: str, arrivals: Path) -> float:
    before = len(_lines(arrivals))
    command = [sys.executable, "-m", "bench.bare_agent", url, str(WARM + ROUNDS)]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    starts = json.loads(shown.stdout)
    pairs = zip(_lines(arrivals)[before:], starts, strict=True)
    return statistics.median([(seen - began) * 1000 for seen, began in pairs][WARM:])


def _lines(arrivals: Path) -> list[float]:
    return [float(line) for line in arrivals.read_text().splitlines()]


@contextmanager
def provider(folder: Path) -> Iterator[tuple[str, Path]]:
    port, arrivals = free_port(), folder / "arrivals"
    arrivals.touch()
    process = subprocess.Popen([sys.executable, "-m", "bench.stub_model", str(port), str(arrivals)])
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}/v1", arrivals
    finally:
        process.terminate()
        process.wait()
