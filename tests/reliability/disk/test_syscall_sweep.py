"""L4: the Nth system call of a daemon that serves fails, or is the last thing it does.

What the failpoints forgot: nobody had to name these places.
"""

import random
import subprocess
import sys
import time
from pathlib import Path

import needs
import pytest
from figures import Figures
from hooked import Hooked
from lives import PATIENCE, Zygote
from scale import scaled
from strace import Point, attached, fired

POINTS = scaled(ci=60, full=180, soak=2000)
GROUPS = 6
DISK = (("pwrite64", 60), ("fdatasync", 12), ("pwrite64", 6), ("fdatasync", 3))
"""Calls of a disk with how far into the load they are hit: the first are the likeliest."""
SLOWEST_EXIT = 1.0
"""Seconds from the first refusal to the end of a daemon whose ledger is broken."""
UNDER_STRACE = 3.0
"""What this machine and the tracer may add to that, before it counts as not ending."""


@pytest.fixture(autouse=True, scope="module")
def needs_strace() -> None:
    needs.need_tools(["strace"], hint="apt-get install strace")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with attached(child.pid, ["-e", "trace=none"], Path("/dev/null")):
            pass
    except AssertionError as error:
        needs.missing(f"strace may not attach here: {error}")
    finally:
        child.kill()
        child.wait()


def drawn(rng: random.Random) -> Point:
    call, furthest = rng.choice(DISK)
    faults = ("KILL", "EIO", "EIO", "ENOSPC") if call == "pwrite64" else ("KILL", "EIO")
    return Point(call, rng.randint(1, furthest), rng.choice(faults), onward=rng.random() < 0.3)


def strike(hooked: Hooked, zygote: Zygote, point: Point, out: Path) -> None:
    """Load with this fault, to the end of the daemon: its own, or by SIGKILL."""
    life = hooked.rise(zygote)
    hooked.sent.refused.clear()
    with attached(life.pid, point.words, out):
        hooked.pour(16)
        if point.fault == "EIO" and hooked.sent.refused:
            assert life.wait() != 0, point
    if life.alive:
        life.kill()


@pytest.mark.parametrize("group", range(GROUPS))
def test_any_system_call_may_fail_or_be_the_last(
    scene: Path, zygote: Zygote, figures: Figures, rng: random.Random, group: int
) -> None:
    hooked = Hooked(scene)
    dealt = 0
    for number in range(POINTS // GROUPS):
        point, out = drawn(rng), scene / f"trace.{number}"
        strike(hooked, zygote, point, out)
        dealt += bool(fired(out))
        lost, broken = hooked.judge()
        figures.add("syscall_points")
        figures.add("false_acks", len(lost))
        figures.add("integrity_failures", len(broken))
        assert (lost, broken, hooked.sent.other) == ([], [], []), point
    figures.add("syscall_faults_dealt", dealt)
    assert hooked.sent.without_retry_after == 0
    assert dealt > POINTS // GROUPS // 3
    assert len(hooked.sent.accepted) > POINTS // GROUPS


@pytest.mark.parametrize("nth", range(1, scaled(ci=4, full=8, soak=30)))
def test_after_a_failed_sync_nothing_is_acknowledged_and_the_daemon_ends(
    scene: Path, zygote: Zygote, figures: Figures, nth: int
) -> None:
    hooked = Hooked(scene)
    process = hooked.rise_alone()
    with attached(process.pid, Point("fdatasync", nth, "EIO").words, scene / "trace"):
        hooked.pour(200)
        status = process.wait(PATIENCE)
        ended = time.monotonic()

    assert fired(scene / "trace")
    assert status == 1
    refused = hooked.sent.refused[0]
    assert max(hooked.sent.accepted.values(), default=0.0) <= refused
    took = ended - refused
    figures.add("failed_syncs")
    figures.note("slowest_exit_after_failed_sync", round(took, 2))
    assert took < SLOWEST_EXIT + UNDER_STRACE
    assert "daemon.ledger_broken" in hooked.log.read_text()
    assert hooked.judge() == ([], [])
    again = hooked.rise(zygote)
    assert hooked.post() == 202
    again.kill()
    assert hooked.judge() == ([], [])


def test_a_disk_that_became_read_only_is_no_acknowledgement_and_the_end(
    scene: Path, zygote: Zygote, figures: Figures
) -> None:
    hooked = Hooked(scene)
    life = hooked.rise(zygote)
    point = Point("pwrite64", 30, "EROFS", onward=True)
    with attached(life.pid, point.words, scene / "trace"):
        hooked.pour(200)
        assert life.wait() != 0

    assert hooked.sent.refused
    lost, broken = hooked.judge()
    figures.add("false_acks", len(lost))
    figures.add("integrity_failures", len(broken))
    assert (lost, broken) == ([], [])
