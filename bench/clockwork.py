"""Schedules: how late the last of many that are due at one instant stands in the ledger."""

import sqlite3
import time
from datetime import UTC, datetime, timedelta

from bench.daemon import daemon, workspace
from bench.report import Figure

SCHEDULES = 1_000
_AHEAD = timedelta(seconds=6)


def measure() -> list[Figure]:
    """The share of rows that an outside reader of the ledger sees, over time."""
    due = (datetime.now(UTC) + _AHEAD + timedelta(seconds=1)).replace(microsecond=0)
    files = {
        f"automations/slot-{number:04}.json": {
            "title": f"Slot {number}",
            "schedule": {"at": due.isoformat()},
            "prompt": "x",
        }
        for number in range(SCHEDULES)
    }
    with workspace(files) as root, daemon(root) as running:
        seen = _watch(str(running.state / "ledger.sqlite"), due)
    ninety_nine = next(late for count, late in seen if count >= SCHEDULES * 0.99)
    last = next(late for count, late in seen if count >= SCHEDULES)
    return [
        Figure(
            name=f"{SCHEDULES} schedules due at one instant: 99 % are rows after",
            value=ninety_nine,
            unit="ms",
            aim="< 100 ms",
            at_most=100,
        ),
        Figure(name="  all are rows after", value=last, unit="ms"),
    ]


def _watch(ledger: str, due: datetime) -> list[tuple[int, float]]:
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
            if count >= SCHEDULES:
                return seen
            time.sleep(0.002 if late > -50 else 0.02)
    finally:
        connection.close()
    raise RuntimeError(f"only {seen[-1][0]} of {SCHEDULES} slots became rows")
