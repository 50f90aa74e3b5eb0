"""A real process that dies at a commit, by SIGKILL; what it acknowledged stays, no half does."""

import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.failpoints import VARIABLE
from amodal_rt.storage.sqlite import SqliteLedger

CHILD = Path(__file__).parent / "ledger_child.py"
KILLED = -9


def run_child(path: Path, command: str, count: int = 0, failpoints: str = "") -> tuple[int, str]:
    """Exit status and stdout of the child, which ends by itself or by its failpoint."""
    done = subprocess.run(
        [sys.executable, str(CHILD), str(path), command, str(count)],
        env={**os.environ, VARIABLE: failpoints},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=50,
    )
    return done.returncode, done.stdout


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return connection.execute(query).fetchall()


def stored(path: Path) -> set[str]:
    return {str(row[0]) for row in rows(path, "SELECT id FROM events")}


def acknowledged(output: str) -> set[str]:
    return {line.removeprefix("ack ") for line in output.splitlines() if line.startswith("ack ")}


def test_what_was_not_committed_is_absent(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    status, output = run_child(path, "accept", 9, "ledger.before_commit:4=kill")

    assert status == KILLED
    assert acknowledged(output) == {"evt_0", "evt_1", "evt_2"}
    assert stored(path) == {"evt_0", "evt_1", "evt_2"}
    assert rows(path, "SELECT COUNT(*) FROM runs") == [(3,)]
    assert rows(path, "SELECT COUNT(*) FROM dedup_keys") == [(3,)]


def test_what_was_committed_stays_though_nobody_was_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    status, output = run_child(path, "accept", 9, "ledger.after_commit:4=kill")

    assert status == KILLED
    assert acknowledged(output) == {"evt_0", "evt_1", "evt_2"}
    assert stored(path) == {"evt_0", "evt_1", "evt_2", "evt_3"}
    assert rows(path, "SELECT COUNT(*) FROM runs") == [(4,)]
    assert rows(path, "SELECT COUNT(*) FROM dedup_keys") == [(4,)]


@pytest.mark.parametrize(
    ("failpoint", "status", "messages"),
    [
        ("ledger.before_commit:3=kill", "running", 0),
        ("ledger.after_commit:3=kill", "completed", 1),
    ],
)
def test_an_outcome_and_what_it_owes_are_one_fact(
    tmp_path: Path, failpoint: str, status: str, messages: int
) -> None:
    """The third commit of the child is the one that finishes its run."""
    path = tmp_path / "ledger.db"

    ended, output = run_child(path, "finish", 0, failpoint)

    assert ended == KILLED
    assert "claimed" in output
    assert acknowledged(output) == set()
    assert rows(path, "SELECT status FROM runs") == [(status,)]
    assert rows(path, "SELECT COUNT(*) FROM outbox") == [(messages,)]
    assert rows(path, "SELECT COUNT(*) FROM journal") == [(messages,)]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("commit", range(1, 7))
def test_an_event_is_stored_once_and_matched_once_over_a_crash(
    tmp_path: Path, moment: str, commit: int
) -> None:
    """Three commits emit, three match; whoever starts again does not know which were made."""
    path = tmp_path / "ledger.db"

    status, output = run_child(path, "bus", 3, f"ledger.{moment}_commit:{commit}=kill")
    assert status == KILLED
    known = {name for name in acknowledged(output) if name.startswith("evt_")}
    assert known <= {str(row[0]) for row in rows(path, "SELECT event_id FROM runs")}

    assert run_child(path, "bus", 3)[0] == 0

    assert rows(path, "SELECT unmatched, missed FROM events") == [(0, 2)] * 3
    assert rows(path, "SELECT event_id FROM runs ORDER BY event_id") == [
        ("evt_0",),
        ("evt_1",),
        ("evt_2",),
    ]


async def test_runs_that_a_crash_left_running_are_known_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    run_child(path, "finish", 0, "ledger.before_commit:3=kill")

    async with SqliteLedger(path, clock=SystemClock()) as ledger:
        (run,) = await ledger.take_orphans()
        assert (run.run_id, run.term) == ("run_0", 2)


def test_a_commit_that_fails_is_no_acknowledgement_and_the_last_word(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    status, output = run_child(path, "full", 0, "ledger.before_commit:3=raise")

    assert status == 0
    assert acknowledged(output) == {"evt_0", "evt_1"}
    assert stored(path) == {"evt_0", "evt_1"}
    assert "refused unavailable ledger broken=True" in output
    assert "then unavailable ledger" in output


@pytest.mark.slow
def test_no_acknowledged_event_is_lost_over_ten_random_kills(tmp_path: Path) -> None:
    path, seed = tmp_path / "ledger.db", random.Random(10)
    told: set[str] = set()
    for lap in range(10):
        output = tmp_path / f"out.{lap}"
        with output.open("w") as sink:
            child = subprocess.Popen(
                [sys.executable, str(CHILD), str(path), "crowd", str(lap * 1_000_000)], stdout=sink
            )
            try:
                # Real time on purpose: the kill must fall anywhere, not at a known place.
                wait_for_acknowledgement(output, child)
                time.sleep(seed.random() * 0.1)
            finally:
                child.kill()
                child.wait()
        told |= acknowledged(output.read_text())
        assert told <= stored(path)
    assert len(told) > 100


def wait_for_acknowledgement(output: Path, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while "ack" not in output.read_text():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
