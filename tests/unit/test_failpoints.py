"""Failpoints act where and when they are told to, and write down what was passed."""

import signal
import subprocess
import sys
from pathlib import Path

PASS_THRICE = """
from amodal_rt.failpoints import FailpointError, hit
for number in (1, 2, 3):
    try:
        hit("a.place")
        hit("b.place")
        print(number, flush=True)
    except FailpointError as error:
        print(number, error.message, flush=True)
"""


def _run(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PASS_THRICE],
        env=variables, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_not_armed_they_do_nothing() -> None:
    assert _run().stdout.split() == ["1", "2", "3"]


def test_kill_acts_at_the_hit_that_it_names() -> None:
    done = _run(AMODAL_RT_FAILPOINTS="a.place:2=kill")

    assert (done.returncode, done.stdout.split()) == (-signal.SIGKILL, ["1"])


def test_one_place_may_be_armed_for_several_hits() -> None:
    done = _run(AMODAL_RT_FAILPOINTS="a.place:1=raise, a.place:3=raise")

    assert done.stdout.splitlines() == ["1 failpoint a.place", "2", "3 failpoint a.place"]


def test_the_log_lists_every_hit_and_the_one_that_killed_last(tmp_path: Path) -> None:
    log = tmp_path / "hits"
    _run(AMODAL_RT_FAILPOINTS="a.place:2=kill", AMODAL_RT_FAILPOINTS_LOG=str(log))

    assert log.read_text().split() == ["a.place:1", "b.place:1", "a.place:2"]


def test_the_log_alone_changes_nothing(tmp_path: Path) -> None:
    log = tmp_path / "hits"
    done = _run(AMODAL_RT_FAILPOINTS_LOG=str(log))

    assert done.stdout.split() == ["1", "2", "3"]
    assert len(log.read_text().split()) == 6


def test_an_unknown_action_is_refused() -> None:
    """A misspelt `kill` would let a crash test pass without a crash."""
    done = _run(AMODAL_RT_FAILPOINTS="a.place=kil")

    assert done.returncode == 1
    assert "does not say one of kill, raise, sleep, pause" in done.stderr
