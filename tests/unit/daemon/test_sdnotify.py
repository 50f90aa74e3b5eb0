"""systemd hears what the daemon does, and nothing is said where nobody listens."""

import asyncio
import os
import socket
from pathlib import Path

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.sdnotify import Systemd


def supervisor(path: Path) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(path))
    receiver.settimeout(5)
    return receiver


def test_ready_and_stopping_are_told(tmp_path: Path) -> None:
    with supervisor(tmp_path / "notify") as receiver:
        manager = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify")})

        manager.ready("serving\n3 automations")
        manager.stopping()

        assert receiver.recv(100) == b"READY=1\nSTATUS=serving 3 automations"
        assert receiver.recv(100).startswith(b"STOPPING=1\n")


def test_an_abstract_socket_is_reached() -> None:
    name = f"amodal-rt-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name)
        receiver.settimeout(5)

        Systemd({"NOTIFY_SOCKET": "@" + name}).stopping()

        assert receiver.recv(100).startswith(b"STOPPING=1")


async def test_the_watchdog_is_fed_again_and_again(tmp_path: Path) -> None:
    with supervisor(tmp_path / "notify") as receiver:
        manager = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"})
        feeding = asyncio.ensure_future(manager.watch(SystemClock()))
        first = await asyncio.to_thread(receiver.recv, 100)
        second = await asyncio.to_thread(receiver.recv, 100)
        feeding.cancel()

        assert (first, second) == (b"WATCHDOG=1", b"WATCHDOG=1")


async def test_without_a_supervisor_nothing_is_sent_or_awaited() -> None:
    manager = Systemd({})
    manager.ready("serving")
    await manager.watch(SystemClock())
    assert manager.watchdog_seconds is None


def test_a_watchdog_meant_for_the_parent_is_not_fed() -> None:
    assert Systemd({"WATCHDOG_USEC": "20000", "WATCHDOG_PID": "1"}).watchdog_seconds is None


def test_a_supervisor_that_is_gone_does_not_stop_the_daemon(tmp_path: Path) -> None:
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("serving")
