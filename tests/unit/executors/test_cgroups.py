"""Where control groups can be had: the trees of systemd, of containers, of old machines."""

import os
import subprocess
from pathlib import Path

import pytest

from amodal_rt.domain.profile import Bounds
from amodal_rt.executors.sandbox.cgroups import CONTROLLERS, Cell, Cgroups, find_cgroups

BOUNDS = Bounds(memory=64, cpus=0.5, processes=7)
CELL = f"amodal-rt-{os.getpid()}-a"
OWN = "/user.slice/amodal.service"


def machine(folder: Path, mounts: list[tuple[str, str, str]], cgroup: str) -> Path:
    """A `/proc/self` of a machine with these file systems: place, type, options."""
    proc = folder / "proc"
    proc.mkdir()
    lines = [f"30 23 0:2{n} / {where} rw - {kind} {kind} {options}\n"
             for n, (where, kind, options) in enumerate(mounts)]  # fmt: skip
    (proc / "mountinfo").write_text("".join(lines))
    (proc / "cgroup").write_text(cgroup)
    return proc


def unified(folder: Path, *, group: str = OWN, given: str = "", there: str = "") -> Path:
    """A tree of version 2, where the process is in `group`. Files stand for the kernel's."""
    own = folder / "unified" / group.lstrip("/")
    own.mkdir(parents=True)
    top = own.parent if own.name == "daemon" else own
    (top / "cgroup.controllers").write_text(there or "cpu memory pids io")
    (top / "cgroup.subtree_control").write_text(given)
    (top / "cgroup.type").write_text("domain")
    (top / "cgroup.procs").write_text("11\n12\n")
    return top


def test_in_a_delegated_group_the_daemon_makes_room_for_its_sandboxes(tmp_path: Path) -> None:
    top = unified(tmp_path)
    proc = machine(tmp_path, [(f"{tmp_path}/unified", "cgroup2", "rw")], f"0::{OWN}\n")

    found = find_cgroups(proc)

    assert found is not None
    assert found.version == 2
    assert (top / "daemon/cgroup.procs").read_text() == "12", "the last that was moved"
    assert (top / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_a_daemon_that_systemd_has_put_into_a_leaf_uses_the_group_above(tmp_path: Path) -> None:
    top = unified(tmp_path, group=f"{OWN}/daemon", given="cpu memory pids")
    proc = machine(tmp_path, [(f"{tmp_path}/unified", "cgroup2", "rw")], f"0::{OWN}/daemon\n")

    found = find_cgroups(proc)
    assert found is not None
    cell = found.make("a", BOUNDS)

    assert cell.folders == (top / CELL,)
    said = {each.name: each.read_text() for each in cell.folders[0].iterdir()}
    assert said == {
        "memory.max": "64", "memory.swap.max": "0", "cpu.max": "50000 100000", "pids.max": "11",
    }  # fmt: skip


def test_where_controllers_are_missing_there_are_none(tmp_path: Path) -> None:
    unified(tmp_path, there="cpu pids")
    proc = machine(tmp_path, [(f"{tmp_path}/unified", "cgroup2", "rw")], f"0::{OWN}\n")

    assert find_cgroups(proc) is None


def test_version_one_is_used_where_the_second_has_no_controllers(tmp_path: Path) -> None:
    unified(tmp_path, there="hugetlb")
    mounts = [(f"{tmp_path}/unified", "cgroup2", "rw")]
    for each in CONTROLLERS:
        (tmp_path / each / "box").mkdir(parents=True)
        mounts.append((f"{tmp_path}/{each}", "cgroup", f"rw,{each}"))
    text = "".join(f"{n}:{each}:/box\n" for n, each in enumerate(CONTROLLERS, start=1))
    proc = machine(tmp_path, mounts, f"{text}0::{OWN}\n")

    found = find_cgroups(proc)
    assert found is not None
    cell = found.make("a", BOUNDS)

    assert found.version == 1
    assert [each.parent for each in cell.folders] == [tmp_path / c / "box" for c in CONTROLLERS]
    assert (tmp_path / f"memory/box/{CELL}/memory.limit_in_bytes").read_text() == "64"
    assert (tmp_path / f"cpu/box/{CELL}/cpu.cfs_quota_us").read_text() == "50000"
    assert (tmp_path / f"pids/box/{CELL}/pids.max").read_text() == "11"


def test_the_mount_itself_serves_where_a_containers_group_cannot_be_seen(tmp_path: Path) -> None:
    mounts: list[tuple[str, str, str]] = []
    for each in CONTROLLERS:
        (tmp_path / each).mkdir()
        mounts.append((f"{tmp_path}/{each}", "cgroup", f"rw,{each}"))
    text = "".join(f"{n}:{each}:/docker/x\n" for n, each in enumerate(CONTROLLERS, start=1))

    assert find_cgroups(machine(tmp_path, mounts, text)) is not None


def test_a_group_that_cannot_be_bounded_is_not_left_behind(tmp_path: Path) -> None:
    groups = Cgroups(2, {**dict.fromkeys(CONTROLLERS, tmp_path), "pids": tmp_path / "missing"})

    with pytest.raises(FileNotFoundError):
        groups.make("a", BOUNDS)


def test_what_a_killed_daemon_left_is_found_and_nothing_else(tmp_path: Path) -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    left = (f"amodal-rt-{gone.pid}-a", CELL)
    names = (*left, "amodal-rt-1-a", "amodal-rt-x-a", "amodal-rt-1", "somebody")
    for name in names:
        (tmp_path / name).mkdir()

    cells = Cgroups(2, dict.fromkeys(CONTROLLERS, tmp_path)).find_left()

    found = sorted(folder.name for each in cells for folder in each.folders)
    assert found == sorted(left), "the first process of the machine lives"


def test_who_is_ended_in_version_1_starts_nobody_meanwhile(tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as victim:
        (tmp_path / "cgroup.procs").write_text(f"0\n{victim.pid}\n")
        (tmp_path / "pids.max").write_text("24")

        assert Cell(1, (tmp_path,)).kill()

    assert victim.returncode == -9, "and not ourselves, whom 0 would mean"
    assert (tmp_path / "pids.max").read_text() == "0"
