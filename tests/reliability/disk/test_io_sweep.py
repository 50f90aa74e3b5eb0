"""L2: every operation on the disk fails once, or for good, or is the last before the power goes.

The ledger is the real one, on the `sqlite3` of the standard library, over the file system of
`fault_vfs`. After each fault it is opened as the next daemon opens it: what was acknowledged
is there, nothing is there by half, and nothing had to be repaired.
"""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fault_vfs
import needs
import pytest
from disks import CHANGES, FailingDisk, FragileDisk
from fault_vfs import FaultVfs
from figures import Figures
from integration import older_ledger as older
from ledger_work import Told, Worker, look
from scale import scaled

from amodal_rt.storage.revision import SCRIPTS

STATES = ("new", "filled", "older")
_RAM = Path("/dev/shm")


@pytest.fixture(scope="module")
def vfs() -> Iterator[FaultVfs]:
    try:
        made = FaultVfs()
    except (AttributeError, OSError) as error:
        needs.missing(f"this Python's SQLite hides its file system: {error}")
        raise
    with made.installed():
        yield made


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled ledger of this version and one of the first, to begin from."""
    folder = tmp_path_factory.mktemp("templates")
    older.make_older(folder / "older", finished=3)
    older.make_older(folder / "filled", SCRIPTS.head, finished=3)
    return folder


@pytest.fixture
def ground() -> Iterator[Path]:
    """A folder in memory where there is one: a point takes milliseconds then."""
    folder = Path(tempfile.mkdtemp(prefix="disk-", dir=_RAM if _RAM.is_dir() else None))
    yield folder
    shutil.rmtree(folder)


class Sweep:
    """Runs the same work over one bad disk after another."""

    def __init__(self, vfs: FaultVfs, templates: Path, ground: Path, state: str) -> None:
        self._vfs = vfs
        self._template = templates / state
        self._folder = ground / "point"
        self.path = self._folder / "ledger.sqlite"

    def work(self, disk: FailingDisk | FragileDisk) -> Told:
        """What was told over this disk."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        if self._template.exists():
            shutil.copyfile(self._template, self.path)
        worker = Worker(self.path)
        with self._vfs.over(disk):
            worker.run()
        return worker.told

    def reboot(self, remains: dict[str, bytes]) -> None:
        """The folder as the platter has it; the copy that an upgrade keeps is no part of it."""
        shutil.rmtree(self._folder)
        self._folder.mkdir()
        for name, content in remains.items():
            (self._folder / name).write_bytes(content)


@pytest.fixture
def sweep(request: pytest.FixtureRequest, vfs: FaultVfs, templates: Path, ground: Path) -> Sweep:
    return Sweep(vfs, templates, ground, request.param)


def judge(figures: Figures, path: Path, told: Told, point: str) -> None:
    """Count the point; red when a promise did not hold."""
    found = look(path, told)
    figures.add("io_points")
    figures.add("false_acks", len(found.lost))
    figures.add("integrity_failures", len(found.broken))
    assert (found.lost, found.broken) == ([], []), point


@pytest.mark.parametrize("sweep", STATES, indirect=True, ids=str)
def test_without_a_fault_everything_is_acknowledged(sweep: Sweep, figures: Figures) -> None:
    """Guards the sweep: work that does nothing would survive everything."""
    disk = FailingDisk()

    told = sweep.work(disk)

    assert told.refused == 0
    assert told.count >= 10
    assert disk.seen > 50
    assert look(sweep.path, told).lost == []


@pytest.mark.parametrize("persistent", [False, True], ids=["once", "for_good"])
@pytest.mark.parametrize("full", [False, True], ids=["io_error", "full"])
@pytest.mark.parametrize("sweep", STATES, indirect=True, ids=str)
def test_each_operation_fails(
    sweep: Sweep, figures: Figures, rng: random.Random, full: bool, persistent: bool
) -> None:
    """Until no fault fires: then the last operation had its turn."""
    step = scaled(ci=9, full=3, soak=1)
    nth, refused = 1 + rng.randrange(step), 0
    while True:
        kinds = frozenset({fault_vfs.WRITE}) if full else CHANGES
        disk = FailingDisk(nth=nth, full=full, persistent=persistent, kinds=kinds)
        told = sweep.work(disk)
        if not disk.fired:
            break
        refused += bool(told.refused)
        judge(figures, sweep.path, told, f"operation {nth} of {disk.seen}")
        nth += step
    # A single write without room is tried again, and then there is some.
    assert refused or (full and not persistent)


@pytest.mark.parametrize("sweep", STATES, indirect=True, ids=str)
def test_each_reading_and_each_opening_fails(
    sweep: Sweep, figures: Figures, rng: random.Random
) -> None:
    step = scaled(ci=15, full=4, soak=1)
    nth = 1 + rng.randrange(step)
    while True:
        disk = FailingDisk(nth=nth, kinds=frozenset({fault_vfs.READ, fault_vfs.OPEN}))
        told = sweep.work(disk)
        if not disk.fired:
            break
        judge(figures, sweep.path, told, f"reading {nth} of {disk.seen}")
        nth += step
    assert nth > step


@pytest.mark.parametrize("sweep", STATES, indirect=True, ids=str)
def test_power_is_lost_at_each_operation(
    sweep: Sweep, figures: Figures, rng: random.Random
) -> None:
    count = FragileDisk(rng)
    sweep.work(count)
    seeds, step = scaled(ci=(1, 3), full=(2, 1), soak=(200, 1))
    dropped = 0
    for nth in range(1 + rng.randrange(step), count.seen + 1, step):
        for _ in range(seeds):
            disk = FragileDisk(random.Random(rng.getrandbits(64)), nth=nth)
            told = sweep.work(disk)
            sweep.reboot(disk.remains())
            dropped += disk.lost
            judge(figures, sweep.path, told, f"operation {nth} of {count.seen}")
    figures.add("unsynced_writes_dropped", dropped)
    assert dropped > 20
