"""What a program in a sandbox tries, on the real bubblewrap."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sandbox_scene import (
    BOX,
    MIB,
    NEEDED,
    Scene,
    alive,
    scene_in,
    started,
    without_groups,
)

from amodal_rt.clock import SystemClock
from amodal_rt.domain.profile import Isolation, Mount
from amodal_rt.errors import InvalidError, UnavailableError
from amodal_rt.executors.sandbox.cgroups import find_cgroups
from amodal_rt.executors.sandbox.sandbox import Ended

pytestmark = NEEDED
ROOT = os.getuid() == 0
CLOCK = SystemClock()
DATA = Mount(source="data", target="/data", writable=True)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_in(tmp_path) as built:
        if ROOT:
            os.chown(built.root / "data", 65_534, 65_534)
        yield built


async def test_it_gets_its_input_and_its_granted_variables_and_no_others(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "canary-host")

    said = await scene.sh("cat; env | sort; id -u", stdin=b"given\n", environment={"MINE": "1"})

    assert said.startswith("given\n")
    names = {line.partition("=")[0] for line in said.splitlines()[1:-1]}
    assert names - {"_"} == {
        "AMODAL_RT_CAUSE", "HOME", "LANG", "MINE", "PATH", "PWD", "SHELL", "TMPDIR", "USER",
    }  # fmt: skip
    assert said.splitlines()[-1] == "1000"


async def test_no_secret_of_the_machine_can_be_read(scene: Scene) -> None:
    bystander = started("/bin/sleep", "60")
    places = [
        scene.root / ".env", scene.root / ".amodal-rt/ledger.db", "/etc/shadow", "/etc/hostname",
        f"/proc/{bystander.pid}/environ", f"/proc/{os.getpid()}/environ", "/root", "/home",
        "/var", "/run", "/sys", "/dev/sda", "/dev/vda", "/dev/mem",
    ]  # fmt: skip
    try:
        said = await scene.sh(
            "".join(f"cat {each} 2>&1 || ls {each}/* 2>&1; " for each in places)
            + "cat /proc/*/environ /proc/*/cmdline; ls /proc"
        )
    finally:
        bystander.kill()
        bystander.wait()

    assert "canary" not in said
    assert "root:x:" not in said
    numbers = {int(each) for each in said.split() if each.isdigit()}
    assert not numbers & {bystander.pid, os.getpid(), os.getppid()}
    assert len(numbers) < 5, "it sees processes that are not its own"


async def test_other_processes_cannot_be_signalled(scene: Scene) -> None:
    bystander = started("/bin/sleep", "60")
    try:
        said = await scene.sh(f"kill -9 {bystander.pid}; kill -9 {os.getpid()}; kill -9 -1; true")

        assert "No such process" in said
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


async def test_without_hosts_there_is_no_network(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as hidden:
        hidden.bind(f"\0amodal-{os.getpid()}")
        hidden.listen()
        ran = await scene.python(
            textwrap.dedent(f"""
            import socket
            for family, address in (
                (socket.AF_INET, {server.getsockname()!r}),
                (socket.AF_INET, ("1.1.1.1", 53)),
                (socket.AF_UNIX, "\\0amodal-{os.getpid()}"),
            ):
                with socket.socket(family) as probe:
                    try:
                        probe.connect(address)
                        print("connected", address)
                    except OSError as error:
                        print(error.errno)
            try:
                print(socket.getaddrinfo("localhost.example", 80))
            except OSError as error:
                print("no name")
            print([name for _, name in socket.if_nameindex()])
            """)
        )

    assert ran.stdout.decode().splitlines() == ["111", "101", "111", "no name", "['lo']"]


async def test_it_cannot_gain_rights_or_mount(scene: Scene) -> None:
    said = await scene.sh(
        "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; unshare -rm true; "
        "mount -t tmpfs none /work; mknod /tmp/disk b 254 0; touch /usr/x; touch /x; "
        "echo 1 > /proc/sys/kernel/core_pattern; chroot / true"
    )

    assert "CapEff:\t0000000000000000" in said
    assert "CapBnd:\t0000000000000000" in said
    assert "NoNewPrivs:\t1" in said
    refused = ("unshare failed", "mount:", "mknod:", "touch: cannot touch '/usr/x'",
               "touch: cannot touch '/x'", "core_pattern", "chroot:")  # fmt: skip
    assert [each for each in refused if each not in said] == []


async def test_a_link_that_a_program_laid_leads_nowhere_inside_and_is_not_mounted(
    scene: Scene,
) -> None:
    target = scene.root / ".env"
    said = await scene.sh(
        f"cd /data; ln -s {target} out; ln -s / up; cat out; ls up/; mkdir deep; "
        "mv deep was; ln -s ../automations deep",
        mounts=(DATA,),
    )

    assert "canary" not in said
    assert (scene.root / "data/out").is_symlink()
    for source in ("data/out", "data/deep", "data/deep/x"):
        with pytest.raises(UnavailableError, match="is a link"):
            await scene.run("/bin/true", mounts=(Mount(source=source, target="/data"),))


@pytest.mark.parametrize("source", [".", "..", ".env", ".amodal-rt", "/", ".amodal-rt/x"])
async def test_no_mount_shows_secrets_or_state(scene: Scene, source: str) -> None:
    with pytest.raises(InvalidError, match="private"):
        await scene.run("/bin/true", mounts=(Mount(source=source, target="/data"),))


@pytest.mark.parametrize("linked", [False, True])
async def test_no_mount_lets_a_program_write_definitions(scene: Scene, linked: bool) -> None:
    folder = scene.root / "automations"
    if linked:
        folder.rmdir()
        folder.symlink_to(scene.root / "data")
    written = Mount(source=str(folder.resolve()), target="/data", writable=True)

    with pytest.raises(InvalidError, match="holds definitions"):
        await scene.run("/bin/true", mounts=(written,))


@pytest.mark.skipif(not os.access("/usr/src", os.W_OK), reason="needs a workspace below /usr")
async def test_a_workspace_among_the_machines_programs_is_not_shown() -> None:
    """As images of containers have it: `WORKDIR /usr/src/app`."""
    with tempfile.TemporaryDirectory(dir="/usr/src") as folder:
        Path(folder).chmod(0o755)
        key = Path(folder, "key")
        key.write_text("canary-key")
        key.chmod(0o640)
        async with scene_in(Path(folder)) as scene:
            said = await scene.sh(f"grep -r canary {folder}; ls {folder}/workspace", secrets=[key])

            assert "canary" not in said
            assert "data" not in said


async def test_what_it_writes_stays_in_writable_mounts_and_belongs_to_no_root(
    scene: Scene,
) -> None:
    page = Mount(source="data/page", target="/page")

    said = await scene.sh("echo new > /data/made; echo x > /page; id -u", mounts=(DATA, page))

    assert (scene.root / "data/made").read_text() == "new\n"
    assert (scene.root / "data/made").stat().st_uid == (65_534 if ROOT else os.getuid())
    assert (scene.root / "data/page").read_text() == "a page"
    assert "Read-only" in said
    assert "Permission denied" not in said.partition("/page")[0]


@pytest.mark.skipif(not ROOT, reason="only a daemon that is root has another user's files")
async def test_a_writable_mount_of_roots_is_refused_to_a_daemon_that_is_root(scene: Scene) -> None:
    (scene.root / "own").mkdir()

    with pytest.raises(UnavailableError, match="belongs to root"):
        await scene.run("/bin/true", mounts=(Mount(source="own", target="/x", writable=True),))


FORKS = """
import os, time
made = 0
try:
    while made < 500:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        made += 1
except OSError:
    pass
print(made, flush=True)
"""


@pytest.mark.parametrize("groups", [True, False])
async def test_a_fork_bomb_ends_at_its_bound_and_with_its_parent(
    scene: Scene, groups: bool
) -> None:
    if groups and find_cgroups() is None:
        pytest.skip("no control groups are delegated here")
    if not groups:
        without_groups(scene)

    ran = await scene.python(f"mark = 'fork-{os.getpid()}'\n{FORKS}")

    assert 5 < int(ran.stdout) <= BOX.bounds.processes + 4
    assert ran.limits == ("rlimit" if not groups else ran.limits)
    assert alive(f"fork-{os.getpid()}") == []


@pytest.mark.parametrize("groups", [True, False])
async def test_a_memory_bomb_harms_itself_alone(scene: Scene, groups: bool) -> None:
    if groups and find_cgroups() is None:
        pytest.skip("no control groups are delegated here")
    if not groups:
        without_groups(scene)

    ran = await scene.python("held = bytearray(512 * 1024 * 1024); print('had')")

    assert b"had" not in ran.stdout
    assert ran.code != 0
    assert ran.ended is (Ended.STARVED if groups else Ended.EXITED)


async def test_files_in_its_own_folders_count_as_memory(scene: Scene) -> None:
    said = await scene.sh(
        "for each in /tmp /work /home/agent /dev/shm /; do "
        "head -c 200000000 /dev/zero > $each/big; rm -f $each/big; done; echo done",
        memory=32 * MIB,
    )

    full = said.count("No space left") + said.count("File too large")
    assert "done" not in said or full >= 4


@pytest.mark.parametrize("where", ["1", "2"])
async def test_a_flood_of_output_ends_the_program(scene: Scene, where: str) -> None:
    ran = await scene.run("/bin/sh", "-c", f"yes >&{where}")

    assert ran.ended is Ended.FLOODED
    assert max(len(ran.stdout), len(ran.stderr)) == BOX.bounds.output


async def test_who_ignores_sigterm_is_killed_and_who_heeds_it_may_tidy_up(scene: Scene) -> None:
    deaf = "trap '' TERM; while :; do sleep 0.05; done"
    tidy = "trap 'echo tidied; exit 0' TERM; while :; do sleep 0.05; done > /dev/null"

    begun = time.monotonic()
    ran = await scene.run("/bin/sh", "-c", deaf, seconds=0.5)
    took = time.monotonic() - begun
    kind = await scene.run("/bin/sh", "-c", f"{tidy}; echo", seconds=0.5)

    assert ran.ended is kind.ended is Ended.OVERDUE
    assert took < 10
    assert kind.code == 0


async def test_a_daemon_of_its_own_does_not_outlive_it(scene: Scene) -> None:
    mark = f"7{os.getpid():07}"
    ran = await scene.run("/bin/sh", "-c", f"setsid -f sleep {mark}; setsid -f sleep {mark}; echo")

    assert ran.code == 0
    assert alive(mark) == []


async def test_whoever_cancels_it_ends_it(scene: Scene) -> None:
    mark = f"8{os.getpid():07}"
    running = asyncio.ensure_future(scene.run("/bin/sleep", mark))
    while not alive(mark):
        await CLOCK.sleep(0.02)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert alive(mark) == []


async def test_it_dies_with_a_daemon_that_is_killed(scene: Scene) -> None:
    mark = f"9{os.getpid():07}"
    text = f"""
        import asyncio, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from sandbox_scene import scene_in
        async def main():
            async with scene_in(Path({str(scene.root / "data")!r})) as scene:
                await scene.run("/bin/sleep", {mark!r})
        asyncio.run(main())
    """
    daemon = started(sys.executable, "-c", textwrap.dedent(text))
    # The daemon, bubblewrap, the first process of its namespace, and the program: before that
    # bubblewrap has a moment in which it does not hear of its parent's end.
    while daemon.poll() is None and len(alive(mark)) < 4:
        await CLOCK.sleep(0.02)

    daemon.send_signal(signal.SIGKILL)
    daemon.wait()

    async with asyncio.timeout(10):
        while alive(mark):
            await CLOCK.sleep(0.02)


async def test_what_cannot_be_had_is_refused_and_names_what_is_missing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(UnavailableError, match="bubblewrap is not installed") as caught:
        await scene.run("/bin/true")

    assert caught.value.code == "sandbox_unavailable"


@pytest.mark.skipif(not ROOT, reason="the limits of processes bind everybody else")
async def test_root_without_isolation_and_control_groups_is_refused(scene: Scene) -> None:
    without_groups(scene)

    with pytest.raises(UnavailableError, match="nothing bounds a process of root"):
        await scene.run("/bin/true", isolation=Isolation.NONE)


async def test_a_program_that_is_not_there_is_named(scene: Scene) -> None:
    with pytest.raises(UnavailableError, match="execvp no-such-program"):
        await scene.run("no-such-program")


async def test_a_base_of_ones_own_is_all_that_there_is(scene: Scene) -> None:
    image = scene.root / "image"
    for folder in ("usr", "etc"):
        (image / folder).mkdir(parents=True)
    (image / "etc/motd").write_text("welcome")
    for each in (Path("/bin/ls"), *libraries("/bin/ls")):
        (image / each.parent.relative_to("/")).mkdir(parents=True, exist_ok=True)
        shutil.copy(each, image / each.relative_to("/"))

    ran = await scene.run("/bin/ls", "/", "/etc", base="image")

    said = ran.stdout.decode().split()
    assert "motd" in said
    assert not {"passwd", "ssl", "var", "root"} & set(said), ran


def libraries(program: str) -> list[Path]:
    """What the program loads, by absolute path."""
    told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [Path(each) for each in told.split() if each.startswith("/")]
