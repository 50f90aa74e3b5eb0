"""A disk that is full, and a disk that cannot be written to, under a daemon that serves."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import needs
import pytest
from figures import Figures
from hooked import Hooked
from lives import PATIENCE, Zygote


@pytest.fixture
def small_disk(scene: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    needs.need_root("a small disk is mounted")
    disk = scene / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        needs.missing(f"no disk of its own can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def _fill(ballast: Path) -> None:
    """Take all the room there is."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def until_taken(hooked: Hooked) -> float:
    """Seconds until a webhook is accepted again."""
    began = time.monotonic()
    while hooked.post() != 202:
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.1)
    return time.monotonic() - began


def test_a_full_disk_is_answered_503_and_a_freed_one_202(
    scene: Path, small_disk: Path, zygote: Zygote, figures: Figures
) -> None:
    hooked = Hooked(scene, small_disk / "state")
    life = hooked.rise(zygote)
    hooked.pour(20)
    ballast = small_disk / "ballast"
    free = 8_000_000 - sum(each.stat().st_size for each in hooked.state.iterdir())
    ballast.write_bytes(bytes(max(free - 1_500_000, 0)))

    hooked.pour(120, size=40_000)

    assert hooked.sent.refused
    assert hooked.sent.without_retry_after == 0
    assert hooked.sent.other == []
    assert life.alive
    listed = {each["event_id"] for each in hooked.client.get("/v1/events", {"limit": "1000"})}
    assert set(hooked.sent.accepted) <= listed
    assert hooked.client.get("/v1/automations/hook")["status"] == "active"
    ballast.unlink()
    waited = until_taken(hooked)
    hooked.pour(10)
    life.kill()
    lost, broken = hooked.judge()
    figures.add("disk_full_refusals", len(hooked.sent.refused))
    figures.add("false_acks", len(lost))
    figures.add("integrity_failures", len(broken))
    figures.note("freed_disk_seconds", round(waited, 2))
    assert (lost, broken) == ([], [])


def test_a_daemon_that_starts_on_a_full_disk_says_so_and_leaves_the_ledger(
    scene: Path, small_disk: Path, zygote: Zygote
) -> None:
    hooked = Hooked(scene, small_disk / "state")
    life = hooked.rise(zygote)
    hooked.pour(20)
    life.kill()
    ballast = small_disk / "ballast"
    _fill(ballast)

    again = hooked.bear(zygote)
    status = again.wait()

    assert status > 0
    assert "free space on the disk" in again.output() or "ledger" in again.output()
    ballast.unlink()
    hooked.rise(zygote).kill()
    assert hooked.judge() == ([], [])


def test_a_disk_that_is_read_only_is_named_and_left_alone(
    scene: Path, small_disk: Path, zygote: Zygote
) -> None:
    hooked = Hooked(scene, small_disk / "state")
    life = hooked.rise(zygote)
    hooked.pour(20)
    life.kill()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    again = hooked.bear(zygote)
    status = again.wait()

    assert status > 0
    assert "ead-only" in again.output() or "writable" in again.output()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    hooked.rise(zygote).kill()
    assert hooked.judge() == ([], [])


def test_a_full_disk_is_told_until_it_is_freed_though_nobody_sends_anything(
    scene: Path, small_disk: Path, zygote: Zygote, figures: Figures
) -> None:
    hooked = Hooked(scene, small_disk / "state")
    life = hooked.rise(zygote)
    hooked.pour(20)
    ballast = small_disk / "ballast"
    _fill(ballast)

    while hooked.post() != 503:
        pass

    status, reason = hooked.ready()
    degraded = hooked.client.get("/v1/status")["degraded"]
    assert (status, "SQLITE_FULL" in (reason or "")) == (503, True)
    assert [each for each in degraded if "free space on the disk" in each]
    ballast.unlink()
    began = time.monotonic()
    while hooked.ready()[0] != 200:
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.05)
    figures.note("ready_after_freed_seconds", round(time.monotonic() - began, 2))
    assert hooked.client.get("/v1/status")["degraded"] == []
    assert hooked.post() == 202
    life.kill()
    assert hooked.judge() == ([], [])
