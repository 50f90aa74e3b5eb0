"""`POST /mcp`: the MCP server over TCP, where the guard lets in, and on the control socket."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from aiohttp import web

from amodal_rt.errors import InvalidError, UnavailableError
from amodal_rt.guardrails.causes import HEADER, Causes
from amodal_rt.logs import Log
from amodal_rt.operations.starting import require_depth
from amodal_rt.ports import Caller
from amodal_rt.servers.control_requests import caller_of
from amodal_rt.servers.guard import CONTENT, LARGEST_BODY, TOKEN, Guarded
from amodal_rt.servers.mcp.exchanged import Exchanged, Exchanging
from amodal_rt.servers.mcp.tools import Tools
from amodal_rt.servers.mcp.visit import DOOR, Visit
from amodal_rt.servers.problems import refused

PATH = "/mcp"
MOST = 64
"""Requests in hand at once: none of them lasts, so that more means that something is wrong."""

_PASSED = (b"accept", b"content-type", b"content-length")
_OWN = b"mcp-"
"""Headers of the protocol; the others, with a token among them, are not its business."""
_PARSE, _INVALID = -32700, -32600
_log = Log("mcp")


class McpDoor:
    """Opens with its first request, which loads the protocol; `close` ends it."""

    def __init__(self, tools: Tools, causes: Causes, *, most: int = MOST) -> None:
        self._tools = tools
        self._causes = causes
        self._most = most
        self._busy = 0
        self._closing = asyncio.Event()
        self._ready: asyncio.Future[Exchanging] | None = None
        self._life: asyncio.Task[None] | None = None

    def guarded(self) -> list[Guarded]:
        """The route over TCP: every token may come, and each tool has its scope."""
        return [Guarded(method="POST", path=PATH, scope=None, answer=self._over_tcp)]

    async def local(self, request: web.Request) -> web.StreamResponse:
        """The same on the control socket, where its peer was judged."""
        visit = Visit(caller=replace(caller_of(request), door=DOOR), marks=_marks(request))
        return await self._answer(request, await request.read(), visit)

    async def close(self) -> None:
        """Answer nobody from now on; what is in hand ends."""
        self._closing.set()
        if self._life is not None:
            await asyncio.wait({self._life})

    async def _over_tcp(self, request: web.Request) -> web.StreamResponse:
        token = request[TOKEN]
        caller = Caller(actor=f"token:{token.name}", door=DOOR)
        visit = Visit(caller=caller, token=token, marks=_marks(request))
        return await self._answer(request, request[CONTENT], visit)

    async def _answer(
        self, request: web.Request, content: bytes, visit: Visit
    ) -> web.StreamResponse:
        if self._busy >= self._most:
            busy = UnavailableError("too many requests are in hand", code="too_many_calls")
            return refused(busy)
        self._busy += 1
        try:
            wrong = _wrong(content)
            if wrong is not None:
                return _response(wrong)
            speech = await self._opened()
            headers = [(name.lower(), value) for name, value in request.raw_headers]
            passed = [each for each in headers if each[0] in _PASSED or each[0].startswith(_OWN)]
            return _response(await speech.exchange(passed, content, visit))
        finally:
            self._busy -= 1

    async def _opened(self) -> Exchanging:
        if self._closing.is_set():
            raise UnavailableError("the daemon is stopping", code="stopping")
        if self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._life = asyncio.create_task(self._live(self._ready), name="mcp")
        # One client that goes away must not take the others' future along.
        return await asyncio.shield(self._ready)

    async def _live(self, ready: "asyncio.Future[Exchanging]") -> None:
        """The task that enters the protocol and leaves it: its scopes may not cross tasks."""
        try:
            # The library takes most of a second to import, which must not stop the event loop.
            make = await asyncio.to_thread(_load)
            async with make(self._tools, self._causes).opened() as speech:
                ready.set_result(speech)
                await self._closing.wait()
        except Exception as error:  # noqa: BLE001 - whatever ends it, the next request opens it anew
            if ready.done():
                _log.exception("mcp.ended", error)
            else:
                ready.set_exception(error)
        finally:
            self._ready = None


def _load() -> Callable[[Tools, Causes], Exchanging]:
    from amodal_rt.servers.mcp.protocol import Speech

    return lambda tools, causes: Speech(tools, causes, largest=LARGEST_BODY)


def _marks(request: web.Request) -> tuple[str, ...]:
    return tuple(request.headers.getall(HEADER, []))


def _wrong(content: bytes) -> Exchanged | None:
    """What is no message at all, in words of ours: the library's would repeat it."""
    if len(content) > LARGEST_BODY:
        return _problem(413, _INVALID, f"a message has at most {LARGEST_BODY:,} bytes")
    try:
        message = cast("object", json.loads(content, parse_constant=_refuse))
    except (ValueError, RecursionError):
        return _problem(400, _PARSE, "the body is not JSON")
    if not isinstance(message, dict):
        return _problem(400, _INVALID, "the body is one message: no list, no bare value")
    fields = cast("dict[str, object]", message)
    told = fields.get("jsonrpc") == "2.0" and isinstance(fields.get("method"), str)
    named = isinstance(fields.get("id", ""), str | int) and not isinstance(fields.get("id"), bool)
    if not told or not named or not isinstance(fields.get("params", {}), dict):
        return _problem(400, _INVALID, "the body is no request or notification of JSON-RPC 2.0")
    try:
        require_depth(fields)
    except InvalidError:
        return _problem(400, _INVALID, "the message is nested too deeply")
    return None


def _problem(status: int, code: int, message: str) -> Exchanged:
    document = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    headers = {"Content-Type": "application/json"}
    return Exchanged(status=status, headers=headers, content=json.dumps(document).encode())


def _refuse(name: str) -> object:
    raise ValueError(name)


def _response(found: Exchanged) -> web.Response:
    # aiohttp counts the bytes itself.
    headers = {
        name: value for name, value in found.headers.items() if name.lower() != "content-length"
    }
    return web.Response(status=found.status, headers=headers, body=found.content)
