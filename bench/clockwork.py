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
    with workspace(files) as root:
        with daemon(root) as running:
            ledger = str(running.state / "ledger.sqlite")
            seen = _watch(ledger, due, schedules)
        alone = _insert_alone(ledger)
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
            name="  all are rows after",
            value=last,
            unit="ms",
            baseline=alone,
            baseline_name="SQLite alone with the same rows",
            aim=f"< {aim:.0f} ms",
            at_most=aim,
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


def _insert_alone(ledger: str) -> float:
    """Milliseconds that one transaction takes with the same rows, tables and indexes, and
    nothing else."""
    connection = sqlite3.connect(ledger, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        taken = {name: _take(connection, name) for name in ("runs", "occurrences")}
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        for name, rows in taken.items():
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
        connection.execute("COMMIT")
        return (time.perf_counter() - began) * 1000
    finally:
        connection.close()


def _take(connection: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    rows = connection.execute(f"SELECT * FROM {table} WHERE scheduled_for IS NOT NULL").fetchall()
    connection.execute(f"DELETE FROM {table}")
    return rows
