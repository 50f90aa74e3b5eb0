"""Hostile bytes on the wire of a living daemon: it answers or hangs up, and lives on."""

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from daemon_child import automation, daemon, write
from figures import Figures
from mutations import Mutator
from scale import scaled

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[], Awaitable[Streams]]
ANSWERED_SECONDS = 15.0
DOOR = (
    (
        b"POST %(path)s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b'X-GitHub-Event: push\r\nContent-Length: 12\r\n\r\n{"a": [1,2]}'
    ),
    (
        b"POST %(path)s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        b"Expect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    ),
    (
        b"POST /integrations/github/int_0123456789abcdef HTTP/1.1\r\nHost: x\r\n"
        b"X-Hub-Signature-256: sha256=00\r\nContent-Length: 2\r\n\r\n{}"
    ),
    b"GET /readyz HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
)
CONTROL = (
    b"GET /v1/automations HTTP/1.1\r\nHost: localhost\r\nX-Actor: ada\r\n\r\n",
    b"GET /v1/runs?automation=hook&status=failed&since=24h&limit=5 HTTP/1.1\r\nHost: l\r\n\r\n",
    b"GET /v1/automations/hook/why?at=2026-03-02T09:00:00Z HTTP/1.1\r\nHost: l\r\n\r\n",
    (
        b"POST /v1/automations/draft/pause HTTP/1.1\r\nHost: l\r\nContent-Type: text/json\r\n"
        b'Content-Length: 16\r\n\r\n{"reason": "me"}'
    ),
    (
        b"POST /v1/automations/draft/trigger HTTP/1.1\r\nHost: l\r\nContent-Length: 18\r\n\r\n"
        b'{"payload": {"a":1}'
    ),
    b"GET /v1/runs/run_0123456789abcdef/journal?after=7&follow=0 HTTP/1.1\r\nHost: l\r\n\r\n",
)


async def _throw(open_: Open, data: bytes) -> float:
    """Send it, hang up our half, and read to the end; what that took."""
    began = time.monotonic()
    with contextlib.suppress(OSError):
        reader, writer = await open_()
        with contextlib.suppress(OSError):
            writer.write(data)
            await writer.drain()
            writer.write_eof()
            async with asyncio.timeout(2 * ANSWERED_SECONDS):
                while await reader.read(65_536):
                    pass
        writer.transport.abort()
    return time.monotonic() - began


async def _assault(open_: Open, mutator: Mutator, count: int) -> float:
    slowest = 0.0
    left = iter(range(count))

    async def thrower() -> None:
        nonlocal slowest
        for _ in left:
            slowest = max(slowest, await _throw(open_, mutator.next()))

    await asyncio.gather(*(thrower() for _ in range(16)))
    return slowest


def test_hostile_bytes_on_both_doors_are_answered_or_hung_up_on(
    scene: Path, rng: random.Random, figures: Figures
) -> None:
    root = scene / "w"
    write(root, "amodal.json", {"limits": {"queue": 1_000_000}})
    automation(root, "hook", trigger="webhook", limits={"concurrency": 1})
    automation(root, "draft", status="draft", limits={"concurrency": 1})
    count = scaled(ci=1000, full=6000, soak=1_000_000)
    with daemon(root) as child:
        url = urlsplit(child.client.get("/v1/automations/hook")["webhook_url"])
        door = [each.replace(b"%(path)s", url.path.encode()) for each in DOOR]
        host, port = url.hostname or "", url.port or 0

        async def over_tcp() -> Streams:
            return await asyncio.open_connection(host, port)

        async def over_socket() -> Streams:
            return await asyncio.open_unix_connection(str(child.state / "control.sock"))

        for open_, seeds in ((over_tcp, door), (over_socket, list(CONTROL))):
            slowest = asyncio.run(_assault(open_, Mutator(rng, seeds), count))
            figures.add("fuzz_executions", count)
            figures.add("bad_inputs", count)
            assert slowest < ANSWERED_SECONDS
        assert child.process.alive
        assert [line for line in child.output.splitlines() if ".defect" in line] == []
        assert len(child.output) < 1_000_000
        status, _ = child.post(url.geturl())
        assert status == 202
        assert child.client.get("/v1/status")["ready"]
        assert child.stop() == 0


def test_a_stranger_of_the_control_socket_hears_nothing(scene: Path) -> None:
    root = scene / "w"
    automation(root, "hook", trigger="webhook")
    with daemon(root) as child:
        path = child.state / "control.sock"
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raw:
            raw.connect(str(path))
            raw.sendall(b"\0" * 1000)
            raw.settimeout(30)
            answer = raw.recv(65_536)
        assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400")) or not answer
