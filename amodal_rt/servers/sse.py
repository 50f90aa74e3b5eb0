"""Server-Sent Events: answers that go on until there is nothing more to tell."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from aiohttp import web

from amodal_rt.clock import Clock
from amodal_rt.errors import AmodalError, UnavailableError
from amodal_rt.logs import Log
from amodal_rt.servers.deadlines import begin_stream

MOST = 2048
"""Streams at once."""
LONGEST_SECONDS = 1800.0
"""How long a stream lasts; its client comes again with the id of what it heard last."""
WRITE_SECONDS = 20.0
"""How long a client may leave what was sent to it unread."""

_log = Log("streams")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event of a stream: its name, its JSON data, and the id to go on after."""

    event: str
    data: object
    id: str


Messages = AsyncGenerator[Message | None, None]
"""None is a sign of life, so that nobody on the way takes the connection for dead."""


def last_heard(request: web.Request) -> str | None:
    """The id of the last event that a client that comes again has heard."""
    return request.headers.get("Last-Event-ID") or None


class Streams:
    """The streams of a door."""

    def __init__(self, clock: Clock, *, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._open: set[asyncio.Task[object]] = set()
        self._closing = False

    def close(self) -> None:
        """End them all in order, and begin no more."""
        self._closing = True
        for task in self._open:
            task.cancel()

    async def send(self, request: web.Request, messages: Messages) -> web.StreamResponse:
        """Send until `messages` end or half an hour is over.

        Raises UnavailableError (`too_many_streams`) before anything is sent.
        """
        if self._closing or len(self._open) >= self._most or not begin_stream(request):
            raise UnavailableError("too many listen already", code="too_many_streams")
        response = _response()
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None, "a handler runs in a task"
        self._open.add(task)
        try:
            await self._carry(response, messages)
        except asyncio.CancelledError:
            if not self._closing:
                raise
            task.uncancel()
        except (TimeoutError, AmodalError) as error:
            _log.debug("streams.ended", path=request.path, why=type(error).__name__)
        finally:
            self._open.discard(task)
            await messages.aclose()
        await self._write(response, None)
        return response

    async def _carry(self, response: web.StreamResponse, messages: Messages) -> None:
        async with self._clock.deadline(LONGEST_SECONDS):
            await self._write(response, b"retry: 2000\n\n")
            async for message in messages:
                await self._write(response, b":\n\n" if message is None else _encoded(message))

    async def _write(self, response: web.StreamResponse, content: bytes | None) -> None:
        async with self._clock.deadline(WRITE_SECONDS):
            await (response.write_eof() if content is None else response.write(content))


def _response() -> web.StreamResponse:
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Accel-Buffering": "no",
        }
    )
    # What only listened is not let in again among those who ask.
    response.force_close()
    return response


def _encoded(message: Message) -> bytes:
    return (
        f"id: {message.id}\nevent: {message.event}\ndata: {json.dumps(message.data)}\n\n"
    ).encode()
