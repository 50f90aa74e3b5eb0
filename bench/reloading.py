"""Reload: from the write of a file until the daemon shows the change."""

import json
import statistics
import time

from bench.daemon import Daemon, daemon, workspace
from bench.report import Figure

CHANGES = 15


def measure() -> list[Figure]:
    """At 10, 1,000 and 10,000 files; start and memory fall off at 1,000."""
    figures: list[Figure] = []
    for count in (10, 1_000, 10_000):
        with workspace(_files(count)) as root, daemon(root) as running:
            if count == 1_000:
                figures += _start(running)
            live = statistics.median(_change(running, number) for number in range(CHANGES))
        figures.append(
            Figure(
                name=f"a change is live, {count} files (median of {CHANGES})",
                value=live,
                unit="ms",
                aim="< 100 ms" if count == 1_000 else None,
                at_most=100 if count == 1_000 else None,
            )
        )
    return figures


def _start(running: Daemon) -> list[Figure]:
    return [
        Figure(
            name="start to ready, 1,000 automations",
            value=running.ready_seconds * 1000,
            unit="ms",
            aim="< 1,200 ms",
            at_most=1_200,
        ),
        Figure(
            name="memory idle before the first agent run, 1,000 automations",
            value=running.memory_mb(),
            unit="MB",
            aim="< 100 MB",
            at_most=100,
        ),
    ]


def _files(count: int) -> dict[str, object]:
    return {
        f"automations/job-{number:05}.json": _automation(f"Job {number}") for number in range(count)
    }


def _automation(title: str) -> dict[str, object]:
    return {"title": title, "schedule": "0 9 * * 1-5", "prompt": "x" * 800}


def _change(running: Daemon, number: int) -> float:
    path = running.root / "automations" / "job-00003.json"
    title = f"Changed {number}"
    fresh = path.with_name(".job-00003.tmp")
    fresh.write_text(json.dumps(_automation(title)))
    began = time.perf_counter()
    fresh.replace(path)
    while running.client.get("/v1/automations/job-00003")["title"] != title:
        if time.perf_counter() - began > 20:
            raise RuntimeError("the change never became live")
        time.sleep(0.001)
    return (time.perf_counter() - began) * 1000
