"""The processes in which scripts run: begun late, replaced when they die, gone with the daemon."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from script_runs import LOOP, SECONDS, fault, ran

from amodal_rt.clock import SystemClock
from amodal_rt.errors import UnavailableError
from amodal_rt.executors.workflow.scripts import Scripts


@pytest.fixture
async def scripts() -> AsyncIterator[Scripts]:
    opened = Scripts(SystemClock())
    yield opened
    await opened.close()


def is_worker(pid: int, of: int | None = None) -> bool:
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return False
    state, parent, *_ = rest.split()
    return "(monty" in name and state != "Z" and of in (None, int(parent))


def workers(of: int | None = None) -> list[int]:
    """Of this process, or of another."""
    pids = (int(each.name) for each in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if is_worker(pid, of or os.getpid())]


async def until_there() -> list[int]:
    for _ in range(500):
        if found := workers():
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("no worker")


async def until_gone(pids: list[int]) -> None:
    for _ in range(500):
        if not set(pids) & set(workers()):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"still there: {pids}")


async def test_no_worker_is_started_before_the_first_script_nor_left_after_close() -> None:
    scripts = Scripts(SystemClock())
    assert workers() == []
    await ran(scripts, "1")
    started = workers()
    assert len(started) == 1
    await scripts.close()
    await until_gone(started)
    with pytest.raises(UnavailableError):
        await ran(scripts, "1")


async def test_close_ends_a_script_that_runs() -> None:
    scripts = Scripts(SystemClock())
    running = asyncio.create_task(ran(scripts, LOOP, seconds=50))
    started = await until_there()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await scripts.close()
    await until_gone(started)


async def test_a_worker_that_died_while_idle_is_replaced(scripts: Scripts) -> None:
    await ran(scripts, "1")
    for pid in workers():
        os.kill(pid, signal.SIGINT)
    assert (await ran(scripts, "2")) == 2


async def test_a_crash_of_the_worker_is_tried_once_more_and_no_more(scripts: Scripts) -> None:
    running = asyncio.create_task(fault(scripts, LOOP, seconds=50))
    killed: set[int] = set()
    while not running.done():
        for pid in set(workers()) - killed if len(killed) < 2 else ():
            await asyncio.sleep(0.1)
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.02)
    error = running.result()
    assert (error.code, len(killed)) == ("sandbox_unavailable", 2)


async def test_a_script_whose_worker_died_after_a_call_is_not_run_again(scripts: Scripts) -> None:
    calls: list[int] = []

    async def fatal() -> object:
        calls.append(1)
        for pid in workers():
            os.kill(pid, signal.SIGKILL)
        return 1

    error = await fault(scripts, "fatal()\n2", functions={"fatal": fatal})
    assert (error.code, calls) == ("sandbox_unavailable", [1])


async def test_a_worker_that_hangs_is_given_up(scripts: Scripts) -> None:
    running = asyncio.create_task(fault(scripts, LOOP, seconds=SECONDS))
    for pid in await until_there():
        await asyncio.sleep(SECONDS / 2)
        os.kill(pid, signal.SIGSTOP)
    assert (await running).message == "Script execution timed out"


async def test_a_script_that_is_cancelled_takes_a_dead_worker_with_it() -> None:
    # With a second worker, one that is not back in its place yet would be passed by.
    scripts = Scripts(SystemClock(), workers=1)
    try:
        await ran(scripts, "1")
        for pid in workers():
            os.kill(pid, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SECONDS):
                await ran(scripts, "1")
        assert (await ran(scripts, "2")) == 2
    finally:
        await scripts.close()


async def test_more_scripts_than_workers_wait_for_their_turn() -> None:
    scripts = Scripts(SystemClock(), workers=2)
    try:
        sources = [f"{n} * 2" for n in range(20)]
        found = await asyncio.gather(*(ran(scripts, each) for each in sources))
        assert found == [n * 2 for n in range(20)]
        assert len(workers()) <= 2
    finally:
        await scripts.close()


CHILD = """
import asyncio
from amodal_rt.clock import SystemClock
from amodal_rt.domain.workflow import Script
from amodal_rt.executors.workflow.scripts import Scripts
async def main():
    scripts = Scripts(SystemClock())
    script = Script(name="a", source="1", file="scripts/a.py")
    await scripts.run(script, {}, functions={}, seconds=5)
    print("ready", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_workers_end_with_a_daemon_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        listed = workers(child.pid)
        child.kill()
    assert listed
    for _ in range(500):
        if not any(map(is_worker, listed)):
            return
        time.sleep(0.02)
    raise AssertionError(listed)


def test_the_sandbox_is_not_loaded_before_a_script_is() -> None:
    load = "import sys, amodal_rt.executors.workflow.scripts"
    code = f"{load}; print('pydantic_monty' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
