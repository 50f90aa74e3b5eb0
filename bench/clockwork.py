"""Schedules: how late the last of many that are due at one instant stands in the ledger."""

import sqlite3
import time
from datetime import UTC, datetime, timedelta

from bench.daemon import daemon, workspace
from bench.report import Figure

_CROWDS = ((1_000, 6.0, 100.0), (10_000, 25.0, 250.0))
"""So many schedules, so many seconds for the daemon to start, and the aim in milliseconds."""


def measure() -> list[Figure]:
    """The share of rows that an outside reader of the ledger sees, over time."""
    return [figure for crowd in _CROWDS for figure in _measure(*crowd)]


def _measure(schedules: int, ahead: float, aim: float) -> list[Figure]:
    due = (datetime.now(UTC) + timedelta(seconds=ahead + 1)).replace(microsecond=0)
    files = {
        f"automations/slot-{number:05}.json": {
            "title": f"Slot {number}",
            "schedule": {"at": due.isoformat()},
            "prompt": "x",
        }
        for number in range(schedules)
    }
    with workspace(files) as root, daemon(root) as running:
        seen = _watch(str(running.state / "ledger.sqlite"), due, schedules)
    ninety_nine = next(late for count, late in seen if count >= schedules * 0.99)
    last = next(late for count, late in seen if count >= schedules)
    return [
        Figure(
            name=f"{schedules:,} schedules due at one instant: 99 % are rows after",
            value=ninety_nine,
            unit="ms",
            aim=f"< {aim:.0f} ms",
            at_most=aim,
        ),
        Figure(
            name="  all are rows after", value=last, unit="ms", aim=f"< {aim:.0f} ms", at_most=aim
        ),
    ]


def _watch(ledger: str, due: datetime, schedules: int) -> list[tuple[int, float]]:
    connection = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    seen: list[tuple[int, float]] = []
    until = time.monotonic() + (due - datetime.now(UTC)).total_seconds() + 30
    try:
        while time.monotonic() < until:
            (count,) = connection.execute(
                "SELECT count(*) FROM runs WHERE scheduled_for IS NOT NULL"
            ).fetchone()
            late = (datetime.now(UTC) - due).total_seconds() * 1000
            seen.append((count, late))
            if count >= schedules:
                return seen
            time.sleep(0.002 if late > -50 else 0.02)
    finally:
        connection.close()
    raise RuntimeError(f"only {seen[-1][0]} of {schedules} slots became rows")
