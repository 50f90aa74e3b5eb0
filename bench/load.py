"""A load of POST requests over keep-alive connections, light enough not to be the bottleneck."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients saw: answers a second, latencies in milliseconds, statuses counted."""

    rate: float
    p50: float
    p99: float
    statuses: dict[int, int]


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the last answer is complete."""

    def __init__(self, load: "_Run") -> None:
        self._load = load
        self._buffer = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def _next(self) -> None:
        assert self._transport is not None
        request = self._load.take()
        if request is None:
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        place = head.find(b"content-length:")
        length = int(head[place + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return
        self._load.answered(int(head[9:12]), time.perf_counter() - self._sent_at)
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.closed()


class _Run:
    def __init__(self, requests: list[bytes], connections: int) -> None:
        self._requests = iter(requests)
        self._open = connections
        self.latencies: list[float] = []
        self.statuses: dict[int, int] = {}
        self.done = asyncio.get_running_loop().create_future()

    def take(self) -> bytes | None:
        return next(self._requests, None)

    def answered(self, status: int, seconds: float) -> None:
        self.latencies.append(seconds)
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def closed(self) -> None:
        self._open -= 1
        if self._open == 0 and not self.done.done():
            self.done.set_result(None)


def post(
    url: str,
    bodies: list[bytes],
    *,
    connections: int,
    headers: Callable[[bytes], Mapping[str, str]] = lambda _: {},
) -> Load:
    """POST each body once, as JSON, over so many connections; `headers` are what goes with one."""
    parts = urlsplit(url)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    ).encode()

    def request(body: bytes) -> bytes:
        more = "".join(f"{name}: {value}\r\n" for name, value in headers(body).items()).encode()
        return b"%s%sContent-Length: %d\r\n\r\n%s" % (head, more, len(body), body)

    requests = [request(body) for body in bodies]

    async def run() -> Load:
        loop = asyncio.get_running_loop()
        load = _Run(requests, connections)
        began = time.perf_counter()
        for _ in range(connections):
            await loop.create_connection(
                lambda: _Connection(load), parts.hostname or "", parts.port or 80
            )
        await load.done
        took = time.perf_counter() - began
        ordered = sorted(load.latencies)
        return Load(
            rate=len(ordered) / took,
            p50=ordered[len(ordered) // 2] * 1000,
            p99=ordered[int(len(ordered) * 0.99)] * 1000,
            statuses=load.statuses,
        )

    return asyncio.run(run())
