"""The way out of a sandbox: a proxy that honours the profile's list and the address guard."""

import asyncio
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sandbox_scene import NEEDED, Scene, scene_in

from amodal_rt.domain.connection import Intent
from amodal_rt.domain.profile import NetworkHost
from amodal_rt.executors.sandbox.proxy import Room
from amodal_rt.guardrails.causes import HEADER

pytestmark = NEEDED


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with scene_in(tmp_path) as built:
        yield built


class Listener:
    """A server outside of the sandbox: keeps what reaches it, answers with a word."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append((await reader.read(4_096)).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nword")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Listener]:
    made = Listener()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made


ASK = """
import os, socket, sys
_, host, port = os.environ["HTTPS_PROXY"].replace("/", "").split(":")
for text in sys.argv[1:]:
    with socket.create_connection((host, int(port))) as proxy:
        proxy.sendall(text.encode().decode("unicode_escape").encode("latin-1"))
        told = b""
        while b"word" not in told and (part := proxy.recv(4096)):
            told += part
            if told.startswith(b"HTTP/1.1 200 Connection"):
                told = b""
                proxy.sendall(b"GET /tunnel HTTP/1.1\\r\\n\\r\\n")
    print(told.decode("latin-1").strip().replace("\\r\\n", "|"))
"""


async def ask(scene: Scene, hosts: tuple[NetworkHost, ...], *heads: str) -> list[str]:
    texts = [each.replace("\r\n", "\\r\\n") for each in heads]
    ran = await scene.run("/usr/bin/python3", "-c", ASK, *texts, network=hosts)
    assert ran.code == 0, ran
    return ran.stdout.decode().splitlines()


async def test_a_listed_host_is_reached_by_tunnel_and_by_plain_http(scene: Scene) -> None:
    async with listening() as server:
        there = NetworkHost(host="localhost", port=server.port)
        hosts = (there,)
        told = await ask(
            scene,
            hosts,
            f"CONNECT localhost:{server.port} HTTP/1.1\r\n\r\n",
            f"POST http://localhost:{server.port}/a?b=1 HTTP/1.1\r\nHost: other.example\r\n"
            f"Proxy-Authorization: x\r\n{HEADER}: 0.-.forged\r\nContent-Length: 2\r\n\r\nhi",
        )

    assert ["word" in each for each in told] == [True, True]
    tunnel, plain = server.heard
    assert tunnel == "GET /tunnel HTTP/1.1\r\n\r\n"
    assert plain.startswith(f"POST /a?b=1 HTTP/1.1\r\nHost: localhost:{server.port}\r\n")
    assert plain.endswith("\r\n\r\nhi")
    assert "other.example" not in plain
    assert "Proxy-" not in plain
    assert "forged" not in plain


async def test_a_request_to_this_runtime_itself_carries_the_runs_own_mark(scene: Scene) -> None:
    async with listening() as server:
        hosts = (NetworkHost(host="127.0.0.1", port=server.port),)
        await ask(scene, hosts, f"GET http://127.0.0.1:{server.port}/ HTTP/1.1\r\n\r\n")

    [heard] = server.heard
    assert f"{HEADER}: 1.-." in heard


async def test_what_is_not_listed_is_refused_and_told_of(scene: Scene) -> None:
    async with listening() as server:
        port = server.port
        hosts = (NetworkHost(host="localhost", port=port), NetworkHost(host="*.example", port=port))
        told = await ask(
            scene,
            hosts,
            f"CONNECT localhost:{port + 1} HTTP/1.1\r\n\r\n",
            f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n",
            f"CONNECT example:{port} HTTP/1.1\r\n\r\n",
            f"CONNECT localhost.evil.test:{port} HTTP/1.1\r\n\r\n",
            f"CONNECT user@localhost:{port} HTTP/1.1\r\n\r\n",
            f"CONNECT localhost:{port}/x HTTP/1.1\r\n\r\n",
            f"GET https://localhost:{port}/ HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            f"GET http://localhost:{port}/ HTTP/1.1\r\nA: b\n c\r\n\r\n",
            f"GET http://localhost:{port}/ HTTP/1.1\r\nBad Name : b\r\n\r\n",
        )

    assert server.heard == []
    assert [each[9:12] for each in told] == ["403"] * 4 + ["400"] * 6
    assert "profiles/box/1.json" in told[0]


async def test_a_listed_name_that_leads_to_a_private_address_is_refused(scene: Scene) -> None:
    scene.egress.configure([])
    async with listening() as server:
        port = server.port
        names = ("localhost", "127.0.0.1", "127.1", "0x7f000001", "2130706433", "0")
        hosts = (NetworkHost(host="*", port=port),)
        told = await ask(scene, hosts, *(f"CONNECT {n}:{port} HTTP/1.1\r\n\r\n" for n in names))

    assert server.heard == []
    assert all("403" in each for each in told), told


async def test_what_was_reached_and_refused_is_counted(scene: Scene) -> None:
    async with listening() as server:
        there = NetworkHost(host="localhost", port=server.port, intent=Intent.READ)
        text = f"CONNECT localhost:{server.port} HTTP/1.1\\r\\n\\r\\n"
        ran = await scene.run(
            "/usr/bin/python3", "-c", ASK, text, text, "CONNECT evil.test:443 HTTP/1.1\\r\\n\\r\\n",
            network=(there,),
        )  # fmt: skip

    assert ran.reached == {f"localhost:{server.port}": 2}
    assert ran.refused == {"evil.test:443": 1}


async def test_the_proxy_is_the_only_thing_on_its_network(scene: Scene) -> None:
    """Nor can a program of another sandbox reach it: each has a network of its own."""
    async with listening() as server:
        hosts = (NetworkHost(host="localhost", port=server.port),)
        ran = await scene.python(
            textwrap.dedent(f"""
            import socket
            try:
                socket.create_connection(("127.0.0.1", {server.port}))
                print("connected")
            except OSError as error:
                print(error.errno)
            """),
            network=hosts,
        )

    assert ran.stdout == b"111\n"


async def test_no_sandbox_uses_up_the_descriptors_of_the_daemon(scene: Scene) -> None:
    room = scene.sandboxes._room = Room(2)
    async with listening() as server:
        hosts = (NetworkHost(host="localhost", port=server.port),)
        head = f"CONNECT localhost:{server.port} HTTP/1.1\\r\\n\\r\\n"
        ran = await scene.python(
            textwrap.dedent(f"""
            import os, socket
            _, host, port = os.environ["HTTPS_PROXY"].replace("/", "").split(":")
            held = [socket.create_connection((host, int(port))) for _ in range(4)]
            for each in held:
                each.sendall(b"{head}")
                print(each.recv(12).decode())
            """),
            network=hosts,
        )

    assert sorted(ran.stdout.decode().splitlines()) == ["HTTP/1.1 200"] * 2 + ["HTTP/1.1 503"] * 2
    assert room.used == 0
