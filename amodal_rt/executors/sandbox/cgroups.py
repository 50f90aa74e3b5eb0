"""Control groups: how memory, CPU time and processes of a sandbox are counted as one.

Version 2 where its controllers are to be had, else version 1. A daemon that is not root needs
a group of its own that was delegated to it (`Delegate=` of systemd).
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from amodal_rt.domain.profile import Bounds

OWN = "amodal-rt"
LEAF = "daemon"
"""The group that the daemon moves itself to, for in version 2 no group has both processes and
groups that are bounded."""
CONTROLLERS = ("cpu", "memory", "pids")
OVERHEAD = 4
"""Processes of the sandbox itself: bubblewrap's two, and what starts them."""

_PERIOD = 100_000
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Cell:
    """The groups of one sandbox. `version` is 1 or 2."""

    version: int
    folders: tuple[Path, ...]

    @property
    def entrances(self) -> tuple[str, ...]:
        """Files in which a process writes `0` to join."""
        return tuple(str(each / "cgroup.procs") for each in self.folders)

    def kill(self) -> bool:
        """End whoever is inside, once; whether somebody was."""
        found = {pid for each in self.folders for pid in _pids(each)}
        if found and self.version == 2:
            with suppress(OSError):
                (self.folders[0] / "cgroup.kill").write_text("1")
                return True
        for each in self.folders if found else ():
            # Between the look and the blow, a program that forks without end would get away.
            with suppress(OSError):
                (each / "pids.max").write_text("0")
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, 9)
        return bool(found)

    def starved(self) -> bool:
        """Whether the kernel ended a process in it for want of memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        counts = (_counts(each / name) for each in self.folders)
        return any(each.get("oom_kill", 0) > 0 for each in counts)

    def remove(self) -> bool:
        """Take the groups away; False while a process is in one."""
        done = True
        for each in self.folders:
            try:
                each.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                done = False
        return done


class Cgroups:
    """Makes cells. `find_cgroups` knows where."""

    def __init__(self, version: int, parents: Mapping[str, Path]) -> None:
        self.version = version
        self._parents = parents

    def make(self, name: str, bounds: Bounds) -> Cell:
        """Groups of that name with these bounds. Raises OSError."""
        name = f"{OWN}-{os.getpid()}-{name}"
        folders = dict.fromkeys(parent / name for parent in self._parents.values())
        cell = Cell(self.version, tuple(folders))
        try:
            for each in cell.folders:
                each.mkdir()
            for controller, file, value in _settings(self.version, bounds):
                (self._parents[controller] / name / file).write_text(value)
            swap = self._parents["memory"] / name / _SWAP[self.version]
            with suppress(OSError):
                # Memory that may be swapped out is not bounded; without swap there is no file.
                swap.write_text("0" if self.version == 2 else str(bounds.memory))
        except OSError:
            cell.remove()
            raise
        return cell

    def find_left(self) -> list[Cell]:
        """The cells of daemons that are gone. Those of one that lives are its own business."""
        found: list[Cell] = []
        for parent in dict.fromkeys(self._parents.values()):
            with suppress(OSError):
                names = (each for each in parent.iterdir() if each.is_dir())
                found += (Cell(self.version, (each,)) for each in names if _is_left(each.name))
        return found


def _is_left(name: str) -> bool:
    """Whether whoever made a group of that name is gone. One with our own number was made by
    another: we have made none yet."""
    own, _, rest = name.removeprefix(f"{OWN}-").partition("-")
    if not name.startswith(f"{OWN}-") or not rest or not own.isdecimal():
        return False
    return int(own) == os.getpid() or not Path(f"/proc/{own}").exists()


_SWAP = {1: "memory.memsw.limit_in_bytes", 2: "memory.swap.max"}


def _settings(version: int, bounds: Bounds) -> Iterator[tuple[str, str, str]]:
    quota = max(int(bounds.cpus * _PERIOD), 1_000)
    if version == 2:
        yield "memory", "memory.max", str(bounds.memory)
        yield "cpu", "cpu.max", f"{quota} {_PERIOD}"
    else:
        yield "memory", "memory.limit_in_bytes", str(bounds.memory)
        yield "cpu", "cpu.cfs_period_us", str(_PERIOD)
        yield "cpu", "cpu.cfs_quota_us", str(quota)
    yield "pids", "pids.max", str(bounds.processes + OVERHEAD)


def find_cgroups(proc: Path = Path("/proc/self")) -> Cgroups | None:
    """Where this process may make groups with all three controllers; None where nowhere."""
    try:
        mounts = tuple(_mounts((proc / "mountinfo").read_text()))
        own = dict(_memberships((proc / "cgroup").read_text()))
    except OSError:
        return None
    unified = next((point for kinds, point in mounts if kinds == ("",)), None)
    if unified is not None and "" in own:
        parent = _delegated(unified, own[""])
        if parent is not None:
            return Cgroups(2, dict.fromkeys(CONTROLLERS, parent))
    parents: dict[str, Path] = {}
    for controller in CONTROLLERS:
        point = next((point for kinds, point in mounts if controller in kinds), None)
        parent = _writable(point, own.get(controller, "/")) if point else None
        if parent is None:
            return None
        parents[controller] = parent
    return Cgroups(1, parents)


def _writable(point: Path, own: str) -> Path | None:
    """The process's own group where it can be seen, else the mount's; the bounds of the group
    that a container runs in should bound its sandboxes too."""
    for folder in (point / own.lstrip("/"), point):
        if os.access(folder, os.W_OK) and folder.is_dir():
            return folder
    return None


def _delegated(point: Path, own: str) -> Path | None:
    """A group of version 2 whose children may be bounded, made ready; None where there is none."""
    folder = point / own.lstrip("/")
    if folder.name == LEAF:
        folder = folder.parent
    try:
        there = set((folder / "cgroup.controllers").read_text().split())
        if not there.issuperset(CONTROLLERS) or not os.access(folder, os.W_OK):
            return None
        given = set((folder / "cgroup.subtree_control").read_text().split())
        if not given.issuperset(CONTROLLERS):
            # The root of the whole machine alone may have both.
            if (folder / "cgroup.type").exists():
                _move_down(folder)
            wanted = " ".join(f"+{each}" for each in CONTROLLERS)
            (folder / "cgroup.subtree_control").write_text(wanted)
    except OSError:
        return None
    return folder


def _move_down(folder: Path) -> None:
    leaf = folder / LEAF
    leaf.mkdir(exist_ok=True)
    for pid in _pids(folder):
        with suppress(ProcessLookupError):
            (leaf / "cgroup.procs").write_text(str(pid))


def _mounts(text: str) -> Iterator[tuple[tuple[str, ...], Path]]:
    """The controllers of each mounted hierarchy, `("",)` for version 2, and where it stands."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        point = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), before.split(" ")[4])
        if kind == "cgroup2":
            yield ("",), Path(point)
        elif kind == "cgroup":
            yield tuple(options.split(",")), Path(point)


def _memberships(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for each in controllers.split(","):
            yield each, path


def _pids(folder: Path) -> list[int]:
    try:
        numbers = map(int, (folder / "cgroup.procs").read_text().split())
        # What this namespace does not see is listed as 0, which would mean ourselves.
        return [each for each in numbers if each > 0]
    except (OSError, ValueError):
        return []


def _counts(file: Path) -> dict[str, int]:
    try:
        pairs = (line.split() for line in file.read_text().splitlines())
        return {name: int(value) for name, value in pairs}
    except (OSError, ValueError):
        return {}
