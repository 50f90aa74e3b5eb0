"""Start on a ledger with a long history, as after a crash: nothing in it may be walked through."""

import os
import signal
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from statistics import median

from amodal_rt.clock import SystemClock, to_millis
from bench.daemon import daemon, workspace
from bench.report import Figure

RUNS = 100_000
_STARTS = 3
_ENTRIES = 5
"""Journal entries of a run."""


def measure() -> list[Figure]:
    """The time from process to `/readyz` 200, after a kill, beside that of an empty ledger."""
    files = {
        f"automations/job-{number:02}.json": {
            "title": f"Job {number}",
            "schedule": "0 9 * * 1-5",
            "prompt": "x",
        }
        for number in range(20)
    }
    with workspace(files) as root:
        empty = _ready(root)
        _fill(root / ".amodal-rt" / "ledger.sqlite")
        full = _ready(root)
        listed = _list(root)
    return [
        Figure(
            name=f"restart to ready after a kill, {RUNS:,} runs of history",
            value=full,
            unit="ms",
            baseline=empty,
            baseline_name="with an empty ledger",
            aim="< 2,000 ms",
            at_most=2_000,
        ),
        Figure(name="  then `ops automations list`", value=listed, unit="ms"),
    ]


def _ready(root: Path) -> float:
    taken: list[float] = []
    for _ in range(_STARTS):
        with daemon(root) as running:
            taken.append(running.ready_seconds * 1000)
            os.kill(running.process.pid, signal.SIGKILL)
            running.process.wait()
    return median(taken)


def _list(root: Path) -> float:
    clock = SystemClock()
    with daemon(root) as running:
        began = clock.monotonic()
        running.client.get("/v1/automations")
        return (clock.monotonic() - began) * 1000


def _fill(path: Path) -> None:
    """Finished runs of many weeks, each with its event, its journal and a delivery."""
    now = SystemClock().now()
    with closing(sqlite3.connect(path)) as raw:
        for number in range(RUNS):
            at = to_millis(now - timedelta(days=80) + timedelta(minutes=number))
            run, event = f"run_{number:016}", f"evt_{number:016}"
            raw.execute(
                "INSERT INTO events (id, type, source, address, headers, data, time, received_at)"
                " VALUES (?, 'webhook.received', '/webhooks/x', ?, '{}', '{}', ?, ?)",
                (event, f"job-{number % 20:02}", at, at),
            )
            raw.execute(
                "INSERT INTO runs (id, automation, title, trigger, status, definition, event_id,"
                " concurrency, on_limit, created_at, started_at, finished_at, result_text)"
                " VALUES (?, ?, 'Job', 'webhook', 'completed', 'x', ?, 3, 'queue', ?, ?, ?, ?)",
                (run, f"job-{number % 20:02}", event, at, at, at + 900, "y" * 400),
            )
            raw.executemany(
                "INSERT INTO journal (run_id, sequence, type, at, data) VALUES (?, ?, ?, ?, ?)",
                [(run, entry, "run.note", at, "{}") for entry in range(1, _ENTRIES + 1)],
            )
            raw.execute(
                "INSERT INTO outbox (id, run_id, automation, kind, target, body, owed_as, status,"
                " created_at, expires_at, finished_at) VALUES (?, ?, ?, 'result', '{}', '{}',"
                " 'pending', 'delivered', ?, ?, ?)",
                (f"msg_{number:016}", run, f"job-{number % 20:02}", at, at, at),
            )
        raw.commit()


if __name__ == "__main__":
    for each in measure():
        print(each.line())
