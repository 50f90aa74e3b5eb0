"""A TCP listener that slow, silent and countless senders cannot hold.

aiohttp bounds only idle keep-alive connections: time to send the headers, time to send the
body and the number of connections are bounded here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from amodal_rt.clock import Clock
from amodal_rt.logs import Log
from amodal_rt.servers.crowd import Crowd

_log = Log("http")

SERVER_NAME = "amodal-rt"
"""What the `Server` header says instead of library and interpreter versions."""
_CONTINUE = "100-continue"
_PATIENCE_SECONDS = 1.0
"""How long a body may take before another sender may have its connection, when all are taken."""
_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n"
    b"Content-Length: 0\r\n\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds. `head` counts from the connection, later from the first byte of a request;
    `body` from the headers; `request` from the headers to the answer; `idle` between requests.
    """

    head: float = 5
    body: float = 10
    request: float = 15
    idle: float = 75


class SlowSenderError(TimeoutError):
    """The body did not come in time."""


async def read_body(
    request: web.BaseRequest, limit: int, *, seconds: float, clock: Clock
) -> bytes | None:
    """The body as sent, or None when it is longer than `limit`, which is not read on.

    Raises SlowSenderError when it takes longer than `seconds`.
    """
    if (request.content_length or 0) > limit:
        return None
    content = request.content
    if "Expect" in request.headers and not content.is_eof():
        # Only now: a sender that is refused by its headers is spared the body.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    if content.is_eof():
        body = content.read_nowait(-1)
        return body if len(body) <= limit else None
    parts = bytearray()
    try:
        async with clock.deadline(seconds):
            while chunk := await content.readany():
                parts += chunk
                if len(parts) > limit:
                    return None
    except TimeoutError as error:
        raise SlowSenderError("the body did not come in time") from error
    return bytes(parts)


async def expect_nothing(request: web.Request) -> None:
    """An `expect_handler` that leaves the 100 to `read_body`."""


def begin_stream(request: web.BaseRequest) -> bool:
    """Whether the connection of `request` may listen for long: it takes no place of those who
    ask from then on."""
    connection = request.protocol
    return not isinstance(connection, _TimedConnection) or connection.begin_stream()


@dataclass(slots=True)
class _Door:
    """What the connections of one listener share."""

    deadlines: Deadlines
    crowd: Crowd
    noted_at: float = field(default=float("-inf"))
    unnoted: int = 0

    def note(self, event: str, now: float, **fields: object) -> None:
        """Log at most one line a second: whoever can send can otherwise fill the disk."""
        if now - self.noted_at < 1:
            self.unnoted += 1
            return
        _log.warning(event, unlogged=self.unnoted, **fields)
        self.noted_at, self.unnoted = now, 0


class _TimedConnection(web.RequestHandler):
    """One connection of a listener."""

    __slots__ = ("_asked_at", "_begun", "_door", "_head_timer", "_heard")

    def __init__(self, server: web.Server, door: _Door, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=door.deadlines.idle,
            # What stays of a refused body is read and dropped this long, so that the sender
            # finds the answer before the connection breaks.
            lingering_time=min(2.0, door.deadlines.body),
            # Signatures cover the bytes on the wire, and a small body may unpack to a large one.
            auto_decompress=False,
            # None means no line a request, and aiohttp asks for its truth only.
            access_log=None,  # pyright: ignore[reportArgumentType]
            max_headers=64,
        )
        self._door = door
        self._begun = False
        self._asked_at = 0.0
        self._heard = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername") or ("",)
        if not self._door.crowd.admit(self, str(peer[0])):
            assert isinstance(transport, asyncio.Transport)
            transport.write(_FULL)
            transport.close()
            self.force_close()
            self._door.note("http.full", self._loop.time(), connections=len(self._door.crowd))
            return
        self._begun = True
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._begun:
            self._begun = False
            self._door.crowd.leave(self)
            self._head_came()
            super().connection_lost(exc)

    def is_idle(self) -> bool:
        """As `crowd.Member`."""
        return self._waiter is not None

    def is_slow(self) -> bool:
        """As `crowd.Member`."""
        request = self._current_request
        waited = self._loop.time() - self._asked_at
        return request is not None and not request.content.is_eof() and waited > _PATIENCE_SECONDS

    def hang_up(self) -> None:
        """As `crowd.Member`."""
        self.force_close()

    def begin_stream(self) -> bool:
        """Count it among those that only listen; False when there is no room for one more."""
        return self._door.crowd.listen(self)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self._asked_at = self._loop.time()
            self._door.crowd.heard(self)
            self._head_came()
        elif self._waiter is not None and self._head_timer is None:
            self._await_head()

    def _await_head(self) -> None:
        self._head_timer = self._loop.call_later(self._door.deadlines.head, self._head_is_late)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        # A sender that said nothing has asked nothing: it is only hung up on.
        if self._heard and self.transport is not None:
            self.transport.write(_LATE)
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """An answer that repeats nothing of what was sent and names no library."""
        answer = super().handle_error(request, status, exc, message and "malformed request")
        answer.headers["Server"] = SERVER_NAME
        return answer

    def log_exception(self, *args: object, **kw: object) -> None:
        """Malformed requests as a sampled line without a traceback, defects with theirs."""
        error = kw.get("exc_info")
        if isinstance(error, ConnectionError):
            return  # the sender left before its answer
        if isinstance(error, BaseException) and not isinstance(error, HttpProcessingError):
            _log.exception("http.defect", error)
        else:
            self._door.note("http.malformed", self._loop.time())


class Listener:
    """Serves `app` on one TCP address within `deadlines`, to as many at once as `crowd` lets in."""

    def __init__(
        self,
        app: web.Application,
        *,
        deadlines: Deadlines | None = None,
        crowd: Crowd | None = None,
    ) -> None:
        app.on_response_prepare.append(_name_server)
        self._runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=5)
        self._door = _Door(deadlines or Deadlines(), Crowd() if crowd is None else crowd)
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> tuple[str, int]:
        """Listen; returns the address, with the port that was given for port 0.

        Raises OSError when the address cannot be had.
        """
        await self._runner.setup()
        served, door = self._runner.server, self._door
        assert served is not None
        served.request_handler = _expecting_less(served.request_handler)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _TimedConnection(served, door, loop), host, port, backlog=1024
            )
        except OSError:
            await self._runner.cleanup()
            raise
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    async def close(self) -> None:
        """Take no more connections, let requests in hand be answered, hang up the rest."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()


def _expecting_less(
    answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
    """The same, but for an unknown `Expect`: aiohttp would repeat it, and break over a word that
    is not UTF-8."""

    async def answered(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Expect", _CONTINUE).lower() != _CONTINUE:
            return web.Response(status=417, headers={"Server": SERVER_NAME})
        return await answer(request)

    return answered


async def _name_server(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER_NAME
