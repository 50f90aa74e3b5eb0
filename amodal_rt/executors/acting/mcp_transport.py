"""How bytes reach an MCP server: a child process of ours, or HTTP through the egress guard.

The library's own process transport gives the child this process's standard error, where its
words could carry secrets into the log, and reads lines without a limit.
"""

import asyncio
import os
import re
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import httpx2
import mcp_types
from aiohttp import ClientError, ClientResponse, ClientTimeout
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

from amodal_rt.clock import Clock
from amodal_rt.failpoints import hit
from amodal_rt.guardrails.egress import Egress, refusal
from amodal_rt.guardrails.unreached import words_for

LINE_BYTES = 16 * 1_048_576
"""The longest message that a child may send."""

_SESSION = "mcp-session-id"
"""The header by which a server says that it keeps sessions: it forgets them when it ends."""
_GRACE_SECONDS = 2.0
_TAIL_BYTES = 4_096
_SPACE = re.compile(rb"\s")

Incoming = SessionMessage | Exception
Streams = tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]


class Child:
    """A server process: `tail` holds the last of what it said on standard error."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        clock: Clock,
        *,
        folder: Path | None = None,
    ) -> None:
        self._argv = argv
        self._folder = folder
        self._env = env
        self._clock = clock
        self._tail = bytearray()
        self._gone = asyncio.Event()

    async def ended(self) -> None:
        """Return once it says no more: it has exited, or closed its output."""
        await self._gone.wait()

    @property
    def tail(self) -> str:
        """Untrusted text, for the reason why a server did not start."""
        return self._tail.decode("utf-8", "replace").strip()

    @asynccontextmanager
    async def transport(self) -> AsyncGenerator[Streams]:
        """Start the process in a session of its own; leave no process of that group behind."""
        hit("mcp.before_start")
        process = await asyncio.create_subprocess_exec(
            *self._argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=dict(self._env),
            cwd=self._folder,
            start_new_session=True,
            limit=LINE_BYTES,
        )
        hit("mcp.after_start")
        incoming_in, incoming = anyio.create_memory_object_stream[Incoming](0)
        outgoing, outgoing_out = anyio.create_memory_object_stream[SessionMessage](0)
        tasks = [
            asyncio.ensure_future(self._read(process, incoming_in)),
            asyncio.ensure_future(self._write(process, outgoing_out)),
            asyncio.ensure_future(self._listen(process)),
        ]
        try:
            yield incoming, outgoing
        finally:
            incoming.close()
            outgoing.close()
            await asyncio.shield(self._end(process))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.shield(self._drain(process))

    async def _read(self, process: Process, into: MemoryObjectSendStream[Incoming]) -> None:
        assert process.stdout
        try:
            async with into:
                # Longer than LINE_BYTES is a ValueError: what follows such a line cannot be
                # told from a new message, so the server is given up.
                while line := await process.stdout.readline():
                    if line.strip():
                        await into.send(_parse(line))
        except (ValueError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self._gone.set()

    async def _write(
        self, process: Process, messages: MemoryObjectReceiveStream[SessionMessage]
    ) -> None:
        assert process.stdin
        with suppress(OSError, anyio.ClosedResourceError):
            async with messages:
                async for message in messages:
                    text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                    process.stdin.write(text.encode() + b"\n")
                    await process.stdin.drain()

    async def _listen(self, process: Process) -> None:
        assert process.stderr
        while chunk := await process.stderr.read(_TAIL_BYTES):
            self._tail += chunk
            if len(self._tail) > _TAIL_BYTES:
                del self._tail[:-_TAIL_BYTES]
                # What is left of a word may be half a secret, which nobody would recognise.
                whole = _SPACE.search(self._tail)
                del self._tail[: whole.end() if whole else None]

    async def _end(self, process: Process) -> None:
        """Close its input, then ask the group to go, then make it go; each within two seconds."""
        if process.stdin:
            process.stdin.close()
        for step in (None, signal.SIGTERM, signal.SIGKILL):
            if step is not None:
                # The group, because a server may have started servers of its own.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, step)
            with suppress(TimeoutError):
                async with self._clock.deadline(_GRACE_SECONDS):
                    await process.wait()
                    break
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    async def _drain(self, process: Process) -> None:
        """Read what nobody did: a pipe is closed at its end, and one that the event loop does
        not live to see closed is complained of on standard error."""
        assert process.stdout
        assert process.stderr
        with suppress(TimeoutError, OSError):
            async with self._clock.deadline(_GRACE_SECONDS):
                for pipe in (process.stdout, process.stderr):
                    while await pipe.read(LINE_BYTES):
                        pass


def _parse(line: bytes) -> Incoming:
    try:
        return SessionMessage(mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError:
        # A stray print on standard output is no reason to give the server up, and its text
        # is not ours to log.
        return ValueError("not a JSON-RPC message")


@asynccontextmanager
async def http_transport(
    egress: Egress, url: str, headers: Mapping[str, str], *, on_session: Callable[[], None]
) -> AsyncGenerator[Streams]:
    """Streamable HTTP to `url` alone; every connection is judged by the egress guard.
    `on_session` is called when the server names a session."""
    egress.permit(url, [url])
    async with (
        httpx2.AsyncClient(
            transport=_EgressTransport(egress, url, on_session),
            headers=dict(headers),
            timeout=None,
            follow_redirects=False,
            trust_env=False,
        ) as client,
        streamable_http_client(url, http_client=client) as (incoming, outgoing),
    ):
        yield incoming, outgoing  # pyright: ignore[reportReturnType]


class _EgressTransport(httpx2.AsyncBaseTransport):
    """Carries the library's requests over the one outbound session."""

    def __init__(self, egress: Egress, url: str, on_session: Callable[[], None]) -> None:
        self._egress = egress
        self._url = url
        self._on_session = on_session

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._egress.permit(str(request.url), [self._url])
        body = await request.aread()
        hit("mcp.before_send")
        try:
            response = await self._egress.session().request(
                request.method,
                str(request.url),
                headers=[
                    (name, value)
                    for name, value in request.headers.multi_items()
                    if name.lower() not in {"host", "content-length", "accept-encoding"}
                ],
                data=body or None,
                allow_redirects=False,
                timeout=ClientTimeout(total=None, sock_connect=10),
            )
        except (ClientError, OSError) as error:
            denied = refusal(error)
            text = denied.message if denied else words_for(error)
            raise httpx2.ConnectError(text, request=request) from None
        hit("mcp.after_send")
        if response.headers.get(_SESSION):
            self._on_session()
        dropped = {"content-encoding", "content-length", "transfer-encoding"}
        return httpx2.Response(
            response.status,
            headers=[
                (name, value)
                for name, value in response.headers.items()
                if name.lower() not in dropped
            ],
            stream=_Body(response),
            request=request,
        )


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (ClientError, OSError) as error:
            raise httpx2.ReadError(words_for(error)) from None

    async def aclose(self) -> None:
        self._response.close()
