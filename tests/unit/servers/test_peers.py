"""The kernel says who is at the other end; nobody else is believed."""

import os
import socket
import subprocess
import sys

import pytest

from amodal_rt.servers.peers import may_control, peer_uid, user_name


def test_our_own_peer_is_us() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert peer_uid(one) == os.getuid()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_is_told_apart() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        name = f"\0amodal-rt-peers-{os.getpid()}"
        listener.bind(name)
        listener.listen()
        script = (
            "import os, socket, sys\n"
            "os.setgid(65534); os.setuid(65534)\n"
            f"raw = socket.socket(socket.AF_UNIX); raw.connect({name!r}); sys.stdin.read()"
        )
        child = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
        connection, _ = listener.accept()
        with connection:
            assert peer_uid(connection) == 65534
        child.communicate(b"")


def test_a_socket_without_a_peer_is_nobody() -> None:
    with socket.socket(socket.AF_INET) as tcp:
        assert peer_uid(tcp) in {None, 0xFFFFFFFF, -1}


@pytest.mark.parametrize(
    ("uid", "may"), [(os.getuid(), True), (0, True), (None, False), (65533, False), (-1, False)]
)
def test_our_own_user_and_root_may_control(uid: int | None, may: bool) -> None:
    assert may_control(uid) is may


def test_a_user_without_a_name_is_a_number() -> None:
    assert user_name(4_000_000) == "uid 4000000"
