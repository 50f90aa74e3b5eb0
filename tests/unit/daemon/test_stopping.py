"""The first request asks, the second urges, and a process that hangs is ended."""

import os
import signal
import subprocess
import sys
import time

from amodal_rt.daemon.stopping import Stopping

HANG = """
import asyncio, sys, threading, time
from amodal_rt.daemon.stopping import Stopping

async def main(stopping):
    stopping.urge("test", seconds=0.2)

stopping = Stopping(bound=True)
if sys.argv[1] == "thread":
    threading.Thread(target=time.sleep, args=(30,)).start()
asyncio.run(main(stopping))
stopping.over()
if sys.argv[1] == "loop":
    stopping.urge("test", seconds=0.2)
    time.sleep(30)
"""


async def test_two_requests_are_told_apart() -> None:
    stopping = Stopping(bound=False)

    stopping.ask("SIGTERM")
    first = (stopping.asked.is_set(), stopping.urgent.is_set())
    stopping.ask("SIGTERM")

    assert first == (True, False)
    assert stopping.urgent.is_set()


async def test_signals_ask_while_the_block_lasts() -> None:
    stopping = Stopping(bound=False)
    with stopping.on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        await stopping.asked.wait()

    assert not stopping.urgent.is_set()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def run(what: str) -> tuple[int, float]:
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", HANG, what], check=False, timeout=25)
    return done.returncode, time.monotonic() - began


def test_a_blocked_process_is_ended() -> None:
    code, seconds = run("loop")

    assert code == 1
    assert seconds < 10


def test_a_thread_that_hangs_does_not_hold_the_process() -> None:
    code, seconds = run("thread")

    assert code == 1
    assert seconds < 10


def test_a_process_that_closed_in_time_is_not_ended_by_force() -> None:
    assert run("nothing")[0] == 0
