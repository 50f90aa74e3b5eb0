"""The one way out of a sandbox: an HTTP proxy that knows which hosts its profile names.

It listens on a socket that was made inside the sandbox's network, so that nothing in there
has to carry bytes, and answers in the daemon: `CONNECT` for everything encrypted, absolute
URLs for plain HTTP. What is inside an encrypted connection it does not see.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from yarl import URL

from amodal_rt.clock import Clock
from amodal_rt.domain.profile import Profile
from amodal_rt.errors import AmodalError
from amodal_rt.guardrails.causes import HEADER
from amodal_rt.guardrails.egress import Egress
from amodal_rt.guardrails.hosts import find_host
from amodal_rt.guardrails.untrusted import plain_line

HEAD_BYTES = 65_536
HEAD_SECONDS = 30.0
CONNECT_SECONDS = 10.0
CONNECTIONS = 256
"""At once, of one sandbox: each costs the daemon two of its file descriptors."""
NAMED = 100
"""How many different hosts are told of afterwards."""

_CHUNK = 65_536
_HOP = frozenset({"connection", "host", "keep-alive", "proxy-connection", "upgrade", "te"})

Marks = Callable[[str], Mapping[str, str]]
"""The headers that tell a URL of this runtime's own which run it is asked by."""


class _RefusedError(Exception):
    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(slots=True)
class Room:
    """How many connections the proxies that share it may have at once."""

    most: int
    used: int = 0


class Proxy:
    """For one program. `reached` and `refused` count connections by `host:port`."""

    def __init__(
        self, profile: Profile, egress: Egress, clock: Clock, marks: Marks, room: Room
    ) -> None:
        self._room = room
        self._profile = profile
        self._egress = egress
        self._clock = clock
        self._marks = marks
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.reached: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    async def serve(self, listener: socket.socket) -> None:
        """Answer on a socket that listens already; it is closed by `close`."""
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=HEAD_BYTES)

    async def close(self) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self._room.used += 1
        try:
            if len(self._open) > CONNECTIONS or self._room.used > self._room.most:
                raise _RefusedError("503 Service Unavailable", "too many connections at once")
            await self._answer(reader, writer)
        except _RefusedError as error:
            body = f"{error.reason}\n".encode()
            head = (
                f"HTTP/1.1 {error.status}\r\nContent-Type: text/plain\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            with suppress(OSError):
                writer.write(head.encode() + body)
                await writer.drain()
        except (OSError, TimeoutError, asyncio.CancelledError):
            # Its program is gone, or the other side: nobody is left to be told.
            pass
        finally:
            self._open.discard(task)
            self._room.used -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._clock.deadline(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            raise _RefusedError("400 Bad Request", "no request head") from None
        method, target, lines = _parsed(head)
        url = _url(method, target)
        host, port = url.raw_host or "", url.port or 0
        there, away = await self._connect(host, port)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                away.write(self._forwarded(method, url, lines))
            await _carry(reader, writer, there, away)
        finally:
            away.close()

    async def _connect(
        self, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = plain_line(f"{host}:{port}", 200)
        try:
            if find_host(host, port, self._profile.network) is None:
                raise _RefusedError(
                    "403 Forbidden",
                    f'{name} is not among the hosts of "network" in {self._profile.file}',
                )
            async with self._clock.deadline(CONNECT_SECONDS):
                streams = await self._egress.connect(host.rstrip("."), port)
        except AmodalError as error:
            self._count(self.refused, name)
            raise _RefusedError("403 Forbidden", plain_line(error.message, 300)) from None
        except _RefusedError:
            self._count(self.refused, name)
            raise
        except (OSError, TimeoutError) as error:
            reason = f"{name} does not answer: {plain_line(str(error) or 'no answer in time', 200)}"
            raise _RefusedError("502 Bad Gateway", reason) from None
        self._count(self.reached, name)
        return streams

    def _count(self, counter: Counter[str], name: str) -> None:
        counter[name if name in counter or len(counter) < NAMED else "others"] += 1

    def _forwarded(self, method: str, url: URL, lines: list[tuple[str, str]]) -> bytes:
        """The request as its server is to see it: for this host, once, and with our own marks."""
        kept = [
            f"{name}: {value}"
            for name, value in lines
            if name.lower() not in _HOP
            and not name.lower().startswith("proxy-")
            and name.lower() != HEADER.lower()
        ]
        authority = url.raw_authority
        marks = (f"{name}: {value}" for name, value in self._marks(str(url)).items())
        head = [f"{method} {url.raw_path_qs} HTTP/1.1", f"Host: {authority}", *kept, *marks]
        return "\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1")


def _parsed(head: bytes) -> tuple[str, str, list[tuple[str, str]]]:
    """Method, target and headers. What two readers could read differently is refused."""
    first, *rest = head[:-4].decode("latin-1").split("\r\n")
    parts = first.split(" ")
    lines = [each.partition(":") for each in rest]
    odd = any("\r" in each or "\n" in each or "\0" in each for each in (first, *rest))
    folded = any(not colon or not name or name != name.strip() for name, colon, _ in lines)
    if len(parts) != 3 or odd or folded or not parts[0].isalpha():
        raise _RefusedError("400 Bad Request", "not an HTTP/1.1 request")
    return parts[0].upper(), parts[1], [(name, value.strip()) for name, _, value in lines]


def _url(method: str, target: str) -> URL:
    """Where it goes: `host:port` for CONNECT, else an absolute `http` URL."""
    try:
        url = URL(f"https://{target}/" if method == "CONNECT" else target)
        host, port = url.raw_host, url.port
    except ValueError:
        raise _RefusedError("400 Bad Request", "the target is no URL") from None
    if method == "CONNECT" and (url.raw_path != "/" or url.query_string or ":" not in target):
        raise _RefusedError("400 Bad Request", "CONNECT takes host:port")
    if method != "CONNECT" and url.scheme != "http":
        raise _RefusedError("400 Bad Request", "this is a proxy: ask it for http://host/, CONNECT")
    if not host or not port or url.raw_user is not None:
        raise _RefusedError("400 Bad Request", "the target names no host and port")
    return url


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    there: asyncio.StreamReader,
    away: asyncio.StreamWriter,
) -> None:
    """Both directions, until both have ended."""
    tasks = [
        asyncio.ensure_future(_copy(reader, away)),
        asyncio.ensure_future(_copy(there, writer)),
    ]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while chunk := await source.read(_CHUNK):
        target.write(chunk)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()
