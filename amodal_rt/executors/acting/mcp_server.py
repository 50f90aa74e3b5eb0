"""One live MCP session. Loaded by the first run that needs one."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

import mcp_types
from mcp.client.client import Client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.shared.exceptions import MCPError
from yarl import URL

from amodal_rt.clock import Clock
from amodal_rt.errors import UnavailableError
from amodal_rt.executors.acting.mcp_opening import (
    DESCRIPTION_CHARACTERS,
    McpAnswer,
    McpTool,
    Opening,
)
from amodal_rt.executors.acting.mcp_transport import Child, Streams, http_transport
from amodal_rt.guardrails.causes import META
from amodal_rt.guardrails.egress import Egress, is_loopback_host
from amodal_rt.guardrails.untrusted import plain_line

PING_SECONDS = 10.0
"""How long a child that left a call unanswered may take to say that it lives."""
ASK_SECONDS = 10.0
"""How long a server elsewhere may take to list its tools again."""

_PAGES = 20
_KEY = "amodal-rt/idempotencyKey"
_CLOSED = (mcp_types.CONNECTION_CLOSED, "Connection closed")
"""What the library says itself; servers have errors of their own under that number."""


class LiveServer:
    """A session in a task of its own: its cancel scopes may not cross tasks."""

    def __init__(self, opening: Opening, egress: Egress, clock: Clock) -> None:
        self._opening = opening
        self._egress = egress
        self._clock = clock
        self._child: Child | None = None
        self._client: Client | None = None
        self._tools: tuple[McpTool, ...] = ()
        self._stale = False
        self._ended = False
        self._has_session = False
        self._listens = False
        self._stop = asyncio.Event()
        self._doubt: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._live(), name=f"mcp {opening.name}")

    @property
    def alive(self) -> bool:
        """Whether it can still be called."""
        return self._client is not None and not self._stop.is_set() and not self._task.done()

    @property
    def tools(self) -> tuple[McpTool, ...]:
        """As listed last."""
        return self._tools

    async def ready(self) -> None:
        """Return once its tools are known. Raises UnavailableError with the reason."""
        try:
            await asyncio.shield(self._ready)
        except asyncio.CancelledError:
            await self.close()
            raise

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, object],
        *,
        key: str | None = None,
        cause: str | None = None,
    ) -> McpAnswer:
        """As `McpServer.call`."""
        client = self._client
        if client is None or not self.alive:
            raise UnavailableError(f"the MCP server of {self._opening.name} is gone")
        call = asyncio.ensure_future(
            client.call_tool(tool, dict(arguments), meta=self._meta(key, cause))
        )
        try:
            # The session may die without an answer, and a call would then wait for ever.
            await asyncio.wait({call, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if not call.done():
                raise UnavailableError(f"the MCP server of {self._opening.name} ended")
            result = call.result()
        except MCPError as error:
            if (error.error.code, error.error.message) == _CLOSED:
                # Not an answer: what became of the call is unknown.
                raise UnavailableError(f"the MCP server of {self._opening.name} ended") from None
            return McpAnswer(text=error.error.message, ok=False)
        except (OSError, RuntimeError) as error:
            raise UnavailableError(
                f"the MCP server of {self._opening.name} failed: {type(error).__name__}"
            ) from None
        finally:
            if not call.done():
                call.cancel()
                self._question(client)
        if self._stale:
            self._stale = False
            self._tools = await _listed(client)
        return McpAnswer(text=_text(result), ok=not result.is_error)

    async def ask_anew(self) -> None:
        """As `McpServer.ask_anew`."""
        name, client = self._opening.name, self._client
        if client is None or not self.alive or self._ended:
            raise UnavailableError(f"the MCP server of {name} is gone")
        try:
            async with self._clock.deadline(ASK_SECONDS):
                listed = await _listed(client)
        except TimeoutError:
            said = f"did not answer within {ASK_SECONDS:g} seconds"
            raise UnavailableError(f"the MCP server of {name} {said}") from None
        except (MCPError, OSError, RuntimeError) as error:
            # Among them that a server knows nothing of the session: it was started anew.
            message = f"the MCP server of {name} is gone: {_reason(error)}"
            raise UnavailableError(message) from None
        self._stale = False
        if listed != self._tools:
            self._tools = listed

    @property
    def end_is_seen(self) -> bool:
        """As `McpServer.end_is_seen`: a process of ours, one that keeps sessions, or a stream."""
        return self._opening.command is not None or self._has_session or self._listens

    def watch(self) -> None:
        """As `McpServer.watch`."""
        client = self._client
        if client is not None and self._opening.url is not None and self._listening is None:
            self._listening = asyncio.create_task(self._listen(client))

    async def _listen(self, client: Client) -> None:
        """Hold a stream open that ends with its server: a protocol without sessions tells in no
        other way that a server is another one than before."""
        try:
            async with client.listen(tools_list_changed=True) as changes:
                self._listens = True
                async for _ in changes:
                    self._stale = True
        except SubscriptionLost:
            pass
        except (ListenNotSupportedError, MCPError):
            if not self._listens:
                return
        self._ended = True

    def _question(self, client: Client) -> None:
        """A call was given up: a child that hangs, floods or spins would go on for ever."""
        if self._opening.command is not None and (self._doubt is None or self._doubt.done()):
            self._doubt = asyncio.create_task(self._ping(client))

    async def _ping(self, client: Client) -> None:
        try:
            async with self._clock.deadline(PING_SECONDS):
                # Going away with the old protocol; where it is gone, its refusal is an answer.
                await client.send_ping()  # pyright: ignore[reportDeprecated]
        except TimeoutError:
            self._stop.set()
        except Exception:  # noqa: BLE001  (an error is an answer too; a dead session ends itself)
            return

    def _meta(self, key: str | None, cause: str | None) -> mcp_types.RequestParamsMeta | None:
        said = {_KEY: key, META: cause if self._is_ours else None}
        known = {name: value for name, value in said.items() if value}
        return mcp_types.RequestParamsMeta(**known) if known else None

    @property
    def _is_ours(self) -> bool:
        """Whether it runs on this machine, or is this runtime by its public name: others have no
        use for what caused a call."""
        url = self._opening.url
        return url is None or self._opening.own or is_loopback_host(URL(url).host or "")

    async def close(self) -> None:
        """As `McpServer.close`."""
        self._stop.set()
        if not self._task.done():
            if self._client is None:
                self._task.cancel()
            await asyncio.wait({self._task})

    async def _live(self) -> None:
        try:
            async with Client(self._transport(), message_handler=self._notice) as client:
                self._tools = await _listed(client)
                self._client = client
                self._settle(None)
                await self._stop.wait()
        except asyncio.CancelledError:
            self._settle("cancelled")
            raise
        except BaseExceptionGroup as group:
            self._settle(_reason(group))
        except Exception as error:  # noqa: BLE001  (whatever a foreign server provokes ends here)
            self._settle(_reason(error))
        finally:
            self._client = None
            if self._listening is not None:
                self._listening.cancel()

    def _settle(self, failure: str | None) -> None:
        if self._ready.done():
            return
        if failure is None:
            self._ready.set_result(None)
            return
        # Whoever masks it cuts it after that: half a secret would not be recognised.
        tail = plain_line(self._child.tail) if self._child else ""
        said = f"; it said: {tail}" if tail else ""
        self._ready.set_exception(UnavailableError(f"{failure}{said}"))
        # Nobody may be waiting any more, and an error unread would be reported as lost.
        self._ready.exception()

    def _transport(self) -> AbstractAsyncContextManager[Streams]:
        opening = self._opening
        if opening.command is not None:
            argv = (opening.command, *opening.args)
            self._child = Child(argv, opening.env, self._clock, folder=opening.folder)
            return self._watched(self._child.transport())
        return http_transport(
            self._egress, opening.url or "", opening.headers, on_session=self._note_session
        )

    @asynccontextmanager
    async def _watched(
        self, transport: AbstractAsyncContextManager[Streams]
    ) -> AsyncGenerator[Streams]:
        async with transport as streams:
            assert self._child
            watch = asyncio.ensure_future(self._child.ended())
            watch.add_done_callback(lambda _: self._stop.set())
            try:
                yield streams
            finally:
                watch.cancel()

    def _note_session(self) -> None:
        self._has_session = True

    async def _notice(self, message: object) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self._stale = True


async def serve(opening: Opening, egress: Egress, clock: Clock) -> LiveServer:
    """Start a server and wait until its tools are known. Raises UnavailableError."""
    server = LiveServer(opening, egress, clock)
    await server.ready()
    return server


async def _listed(client: Client) -> tuple[McpTool, ...]:
    tools: list[McpTool] = []
    cursor: str | None = None
    for _ in range(_PAGES):
        page = await client.list_tools(cursor=cursor, cache_mode="bypass")
        tools += [_tool(tool) for tool in page.tools]
        cursor = page.next_cursor
        if not cursor:
            break
    # Of two tools of one name the first counts: which of them a call reaches is the server's word.
    first: dict[str, McpTool] = {}
    for tool in tools:
        first.setdefault(tool.name, tool)
    return tuple(first.values())


def _tool(tool: mcp_types.Tool) -> McpTool:
    description = tool.description or ""
    return McpTool(
        name=tool.name,
        description=description[:DESCRIPTION_CHARACTERS],
        schema=dict(tool.input_schema),
        read_only_hint=tool.annotations.read_only_hint if tool.annotations else None,
        digest=hashlib.sha256(description.encode("utf-8", "replace")).hexdigest(),
    )


def _text(result: mcp_types.CallToolResult) -> str:
    parts: list[str] = []
    for block in result.content:
        if isinstance(block, mcp_types.TextContent):
            parts.append(block.text)
        elif isinstance(block, mcp_types.EmbeddedResource) and isinstance(
            block.resource, mcp_types.TextResourceContents
        ):
            parts.append(block.resource.text)
        else:
            parts.append(f"({block.type}, not shown)")
    if not parts and result.structured_content is not None:
        parts.append(json.dumps(result.structured_content, ensure_ascii=False, default=str))
    return "\n".join(parts)


def _reason(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return _reason(group.exceptions[0])
    if isinstance(error, FileNotFoundError):
        return f"the command {error.filename} does not exist"
    return plain_line(str(error)) or type(error).__name__
