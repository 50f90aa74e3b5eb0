"""What a sandboxed program leaves behind: no process, no group, no descriptor, no open end."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sandbox_scene import NEEDED, Scene, alive, scene_in, started, without_groups

from amodal_rt.clock import SystemClock
from amodal_rt.domain.profile import Isolation
from amodal_rt.executors.sandbox.cgroups import Cell, find_cgroups
from amodal_rt.executors.sandbox.sandbox import Ended

pytestmark = NEEDED
ROOT = os.getuid() == 0
CLOCK = SystemClock()
GROUPS = pytest.mark.skipif(find_cgroups() is None, reason="no control groups are delegated here")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_in(tmp_path) as built:
        yield built


def groups_of(pid: int) -> list[Path]:
    """Folders of control groups that the process of that number made."""
    return list(Path("/sys/fs/cgroup").glob(f"**/amodal-rt-{pid}-*"))


def descriptors() -> list[str]:
    """Of this process."""
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())


def unified() -> Path | None:
    """Where version 2 of control groups is mounted, if this process may make groups there."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            place = Path(line.split(" ")[4])
            return place if os.access(place, os.W_OK) else None
    return None


@pytest.mark.skipif(unified() is None, reason="no version 2 that this user may write")
def test_the_kernel_ends_a_cell_of_version_2_at_once() -> None:
    """Also where version 1 has its controllers, as on machines that mount both."""
    place = unified()
    assert place is not None
    folder = place / f"amodal-rt-{os.getpid()}-kill"
    folder.mkdir()
    cell = Cell(2, (folder,))
    with started("/bin/sh", "-c", "sleep 60 & sleep 60") as program:
        (folder / "cgroup.procs").write_text(str(program.pid))

        assert cell.kill()

    assert program.returncode == -signal.SIGKILL
    while not cell.remove():
        cell.kill()
    assert not folder.exists()


@pytest.mark.parametrize("isolation", list(Isolation))
async def test_it_inherits_three_descriptors_and_can_open_them_by_name(
    scene: Scene, isolation: Isolation
) -> None:
    if isolation is Isolation.NONE and ROOT and find_cgroups() is None:
        pytest.skip("nothing bounds a process of root here")
    secret = os.open(scene.root / ".env", os.O_RDONLY)
    os.set_inheritable(secret, True)
    said = await scene.sh(
        "cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr; ls /proc/self/fd",
        stdin=b"in\n",
        isolation=isolation,
    )
    os.close(secret)

    assert said.split() == ["in", "out", "err", "0", "1", "2", "3"], "the fourth is that of ls"


@pytest.mark.parametrize("groups", [True, False])
async def test_who_left_its_group_without_isolation_holds_up_nobody(
    scene: Scene, groups: bool
) -> None:
    if groups and find_cgroups() is None:
        pytest.skip("no control groups are delegated here")
    if not groups:
        if ROOT:
            pytest.skip("root is not run without control groups")
        without_groups(scene)
    mark = f"6{os.getpid():07}"

    ran = await scene.run(
        "/bin/sh", "-c", f"setsid -f sleep {mark}; echo hi", isolation=Isolation.NONE
    )

    assert (ran.ended, ran.code, ran.stdout) == (Ended.EXITED, 0, b"hi\n")
    for pid in alive(mark):
        assert not groups
        os.kill(pid, signal.SIGKILL)


@GROUPS
@pytest.mark.skipif(not ROOT, reason="groups are made by root where none are delegated")
async def test_what_outlives_a_killed_daemon_is_ended_by_the_next_one(scene: Scene) -> None:
    mark = f"5{os.getpid():07}"
    text = f"""
        import asyncio, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from amodal_rt.domain.profile import Isolation
        from sandbox_scene import scene_in
        async def main():
            async with scene_in(Path({str(scene.root / "data")!r})) as scene:
                await scene.run(
                    "/bin/sh", "-c", "setsid -f sleep {mark}; sleep 60", isolation=Isolation.NONE
                )
        asyncio.run(main())
    """
    daemon = started(sys.executable, "-c", textwrap.dedent(text))
    while daemon.poll() is None and len(alive(mark)) < 3:
        await CLOCK.sleep(0.02)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    assert alive(mark), "nothing of it is left, so nothing is shown"

    scene.sandboxes.tidy()

    async with asyncio.timeout(10):
        while alive(mark):
            await CLOCK.sleep(0.02)
        # A process without a command line is still in its group until the kernel is done with it.
        while groups_of(daemon.pid):
            await scene.run("/bin/true")


@GROUPS
@pytest.mark.skipif(not ROOT, reason="groups are made by root where none are delegated")
async def test_no_group_and_no_descriptor_is_left_however_it_ends(scene: Scene) -> None:
    await scene.run("/bin/true")
    before = descriptors()

    running = asyncio.ensure_future(scene.run("/bin/sh", "-c", "trap '' TERM; sleep 30; :"))
    while not groups_of(os.getpid()):
        await CLOCK.sleep(0.02)
    running.cancel()
    await CLOCK.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await scene.run("/bin/sh", "-c", "yes")
    await scene.run("/bin/sleep", "30", seconds=0.2)

    async with asyncio.timeout(10):
        while groups_of(os.getpid()) or descriptors() != before:
            await CLOCK.sleep(0.02)


async def test_who_is_killed_from_outside_has_run_and_is_told_of_as_killed(scene: Scene) -> None:
    mark = f"4{os.getpid():07}"
    running = asyncio.ensure_future(scene.run("/bin/sleep", mark))
    while len(alive(mark)) < 3:
        await CLOCK.sleep(0.02)

    os.kill(min(alive(mark)), signal.SIGKILL)

    ran = await running
    assert (ran.ended, ran.code) == (Ended.EXITED, 137)
    assert alive(mark) == []
