"""The wall clock of a living daemon jumps: no slot twice, none lost, none later than a tick."""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from daemon_child import Child, automation, daemon, eventually, write
from figures import Figures
from scale import scaled
from turned import Turned

from amodal_rt.clock import parse_iso

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
START = datetime(2026, 3, 10, 12, 0, 50, tzinfo=UTC)
TICK = timedelta(seconds=6)
LATE = timedelta(seconds=8)
"""A tick of five seconds, and what a loaded machine takes to write it down."""
LAPS: tuple[timedelta, ...] = (HOUR, -HOUR, DAY, -DAY, HOUR, HOUR, -3 * HOUR, 3 * DAY, -2 * DAY)


def _jump(clock: Turned, by: timedelta) -> datetime:
    """Turn the clock, to two seconds before a full minute; returns that minute."""
    target = clock.now() + by
    slot = target.replace(second=0, microsecond=0) + MINUTE
    clock.set(slot - timedelta(seconds=2))
    return slot


def _suspend(clock: Turned, child: Child, by: timedelta) -> datetime:
    """The machine sleeps: the process stands still while the wall clock goes on."""
    os.kill(child.process.pid, signal.SIGSTOP)
    slot = _jump(clock, by)
    os.kill(child.process.pid, signal.SIGCONT)
    return slot


def _slew(clock: Turned) -> datetime:
    """A time service moves the clock back and forth by half seconds."""
    slot = _jump(clock, timedelta())
    for step in (-0.5, -0.5, 0.5, -0.5, 0.5, 0.5):
        clock.slew(timedelta(seconds=step))
        time.sleep(0.1)
    return slot


def _rows(child: Child, name: str) -> list[dict[str, Any]]:
    query = {"automation": name, "limit": "1000"}
    return [row for row in child.client.get("/v1/runs", query) if row["scheduled_for"]]


def _covered(row: dict[str, Any]) -> tuple[datetime, datetime]:
    first = parse_iso(row["scheduled_for"])
    return first, parse_iso(row["scheduled_until"]) if row["scheduled_until"] else first


def _until(child: Child, name: str, slot: datetime) -> dict[str, Any]:
    """The row of a slot, once it is there."""

    def look() -> dict[str, Any] | None:
        rows = (row for row in _rows(child, name) if _covered(row)[0] <= slot <= _covered(row)[1])
        return next(rows, None)

    return eventually(look)


def _doubled(rows: list[dict[str, Any]]) -> int:
    """How many slots stand in two rows."""
    spans = sorted(_covered(row) for row in rows)
    return sum(late[0] <= early[1] for early, late in pairwise(spans))


def _minutes(rows: list[dict[str, Any]]) -> tuple[int, int]:
    """How many slots the rows speak of, and how many minutes lie between the first and last."""
    spans = [_covered(row) for row in rows]
    first, last = min(each[0] for each in spans), max(each[1] for each in spans)
    return sum(row["count"] for row in rows), int((last - first) / MINUTE) + 1


def test_no_jump_of_the_wall_clock_doubles_loses_or_delays_a_slot(
    scene: Path, figures: Figures
) -> None:
    root = scene / "w"
    write(root, "amodal.json", {})
    automation(root, "last", schedule="* * * * *", limits={"concurrency": 20})
    automation(root, "none", schedule="* * * * *", catchUp={"policy": "none"})
    automation(root, "hourly", schedule="0 * * * *")
    clock = Turned(scene, START)
    with daemon(root, **clock.variables) as child:
        jumps: list[Callable[[], datetime]] = [
            *(lambda by=by: _jump(clock, by) for by in LAPS * scaled(ci=1, full=2, soak=40)),
            lambda: _slew(clock),
            lambda: _suspend(clock, child, HOUR),
            lambda: _suspend(clock, child, DAY),
        ]
        reached = clock.now()
        for jump in jumps:
            slot = jump()
            figures.add("clock_jumps")
            if slot <= reached:
                # What was ruled on before the clock went back is not looked at again.
                before = {row["run_id"] for row in _rows(child, "last")}
                time.sleep((slot + TICK - clock.now()).total_seconds())
                assert {row["run_id"] for row in _rows(child, "last")} == before
                continue
            reached = slot
            for name in ("last", "none"):
                row = _until(child, name, slot)
                late = parse_iso(row["created_at"]) - slot
                assert timedelta(0) <= late <= LATE, (name, slot, row)
                if row["count"] == 1:
                    assert row["status"] != "skipped", row
        rows = {name: _rows(child, name) for name in ("last", "none", "hourly")}
        assert child.stop() == 0
    doubled = sum(_doubled(each) for each in rows.values())
    figures.add("clock_doubled", doubled)
    assert doubled == 0
    for name in ("last", "none"):
        told, lie_between = _minutes(rows[name])
        figures.add("clock_slots", told)
        assert told == lie_between, name
