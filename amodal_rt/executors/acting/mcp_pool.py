"""MCP servers, started when first needed and kept warm between runs."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.connection import Connection
from amodal_rt.errors import UnavailableError
from amodal_rt.executors.acting.mcp_falls import Falls
from amodal_rt.executors.acting.mcp_opening import McpServer, Opening, opening_of
from amodal_rt.executors.acting.mcp_pins import PinnedServer, ToolPins
from amodal_rt.guardrails.causes import VARIABLE, Causes
from amodal_rt.guardrails.egress import Egress
from amodal_rt.guardrails.redaction import Redactor
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.settings import Environment

START_SECONDS = 30.0
"""How long a server may take to start and list its tools."""

SILENT_SECONDS = 60.0
"""How long runs do without a server that said nothing when it was started."""


class McpPool:
    """One server a connection and set of secrets, shared by all runs of one depth.

    A program starts in `folder`. What it starts is one deeper than the runs that it serves,
    which its environment says: runs of another depth in their chains have a child of their own.

    A server that died is started anew by the next run; one whose connection changed is
    replaced, and the old one ends once no newer run can ask for it.
    """

    def __init__(
        self,
        egress: Egress,
        clock: Clock,
        redactor: Redactor,
        causes: Causes,
        pins: ToolPins,
        *,
        folder: Path | None = None,
    ) -> None:
        self.pins = pins
        self._folder = folder
        self._falls = Falls(clock)
        self._egress = egress
        self._clock = clock
        self._redactor = redactor
        self._causes = causes
        self._servers: dict[tuple[str, int], tuple[str, PinnedServer]] = {}
        self._retired: list[PinnedServer] = []
        self._locks: dict[tuple[str, int], asyncio.Lock] = {}
        self._silent: dict[str, tuple[str, float]] = {}
        self._failed: dict[str, tuple[str, str]] = {}
        self.heard: Callable[[str, str | None], None] | None = None
        """Told of each server that was started (None), or why it was not."""
        self._births = count(1)
        self._lives: dict[tuple[str, int], int] = {}

    async def open_all(
        self, connections: Sequence[Connection], environment: Environment, *, depth: int = 0
    ) -> tuple[dict[str, PinnedServer], dict[str, str]]:
        """The servers of these connections, started where needed, and why others failed.

        One that was silent for `START_SECONDS` is not waited for again within
        `SILENT_SECONDS`: one such server would hold up every run of the workspace.
        """
        if not connections:
            return {}, {}
        tries = (self._try(each, environment, depth) for each in connections)
        answers = await asyncio.gather(*tries)
        names = [each.name for each in connections]
        pairs = list(zip(names, answers, strict=True))
        return (
            {name: each for name, each in pairs if not isinstance(each, str)},
            {name: each for name, each in pairs if isinstance(each, str)},
        )

    async def open(
        self, connection: Connection, environment: Environment, *, anew: bool = True, depth: int = 0
    ) -> PinnedServer:
        """The server of one connection, its tools judged; one elsewhere has just said which it
        has. Raises UnavailableError (`mcp_unavailable`): also where it keeps ending soon after
        its start, unless `anew`."""
        opening = self._marked(opening_of(connection, environment), depth)
        place = (connection.name, depth if opening.command is not None else 0)
        lock = self._locks.setdefault(place, asyncio.Lock())
        async with lock:
            key, server = self._servers.get(place, ("", None))
            same = server if server is not None and key == opening.key and server.alive else None
            if same is not None and await _answers(same):
                return same
            if server is not None:
                if key == opening.key:
                    self._fell(place, opening)
                del self._servers[place]
                await self._retire(server)
            if not anew:
                self._require_patience(place, opening)
            fresh = await self._started(opening, place)
            self._servers[place] = (opening.key, fresh)
            self._lives[place] = next(self._births)
            return fresh

    def _require_patience(self, place: tuple[str, int], opening: Opening) -> None:
        if self._was_silent(opening):
            raise _unavailable(opening, "did not start in time a moment ago")
        seconds = self._falls.patience(place, opening.key)
        if seconds > 0:
            raise _unavailable(opening, f"it keeps ending; tried again in {seconds:.0f} s")

    async def _started(self, opening: Opening, place: tuple[str, int]) -> PinnedServer:
        try:
            server = await self._start(opening)
        except UnavailableError:
            self._fell(place, opening)
            raise
        self._falls.begin(place)
        return await self._pinned(server, opening)

    def _fell(self, place: tuple[str, int], opening: Opening) -> None:
        # What keeps ending elsewhere is not ours to start, and asking costs nothing.
        if opening.command is not None:
            self._falls.note(place, opening.key)

    async def _pinned(self, server: McpServer, opening: Opening) -> PinnedServer:
        pinned = PinnedServer(server, opening, self.pins)
        try:
            await pinned.look()
        except BaseException:
            await server.close()
            raise
        return pinned

    async def open_apart(
        self, connection: Connection, environment: Environment, *, headers: Mapping[str, str]
    ) -> PinnedServer:
        """A session of its own with a server that is reached over HTTP, which the caller closes.

        `headers` are sent besides the connection's own, which win. Raises UnavailableError.
        """
        opening = opening_of(connection, environment)
        own = {name.lower() for name in opening.headers}
        more = {name: value for name, value in headers.items() if name.lower() not in own}
        apart = replace(opening, headers={**opening.headers, **more})
        return await self._pinned(await self._start(apart), apart)

    def life(self, name: str) -> int | None:
        """Which server serves runs that nothing started: another number once it was opened anew,
        None while there is none."""
        place = (name, 0)
        _, server = self._servers.get(place, ("", None))
        return self._lives[place] if server is not None and server.alive else None

    def end_is_seen(self, name: str) -> bool:
        """Whether `life` would be another number if that server were started anew."""
        _, server = self._servers.get((name, 0), ("", None))
        return server is not None and server.end_is_seen

    def alive(self, name: str) -> bool:
        """Whether a server of that connection is up."""
        mine = [server for (of, _), (_, server) in self._servers.items() if of == name]
        return any(server.alive for server in mine)

    def failure(self, connection: Connection, environment: Environment) -> str | None:
        """Why its server, as the connection is now, did not start when it was last tried; None
        when it did, or was not tried. Raises UnavailableError (`env_missing`)."""
        key, reason = self._failed.get(connection.name, ("", ""))
        asked = self._marked(opening_of(connection, environment), 0)
        return reason if key and key == asked.key else None

    async def close(self) -> None:
        """End every server."""
        servers = [server for _, server in self._servers.values()] + self._retired
        self._servers, self._retired = {}, []
        await asyncio.gather(*(server.close() for server in servers), return_exceptions=True)

    def _marked(self, opening: Opening, depth: int) -> Opening:
        """The opening as runs of that depth use it."""
        if opening.command is None:
            return replace(opening, own=self._causes.is_own(opening.url or ""))
        token = self._causes.token(Cause(depth=depth))
        return replace(opening, env={**opening.env, VARIABLE: token}, folder=self._folder)

    async def _try(
        self, connection: Connection, environment: Environment, depth: int
    ) -> PinnedServer | str:
        try:
            return await self.open(connection, environment, anew=False, depth=depth)
        except UnavailableError as error:
            return error.message

    async def _retire(self, server: PinnedServer) -> None:
        if not server.alive:
            await server.close()
            return
        # A run that began before the change may be in the middle of a call. One generation
        # is kept; the one before it had its time.
        for older in self._retired:
            await older.close()
        self._retired = [server]

    async def _start(self, opening: Opening) -> McpServer:
        # The library takes most of a second to import, which must not stop the event loop.
        serve = await asyncio.to_thread(_load)
        try:
            async with self._clock.deadline(START_SECONDS):
                server = await serve(opening, self._egress, self._clock)
            self._failed.pop(opening.name, None)
            self._tell(opening.name, None)
            return server
        except TimeoutError:
            self._silent[opening.name] = (opening.key, self._clock.monotonic())
            reason = f"did not start within {START_SECONDS:g} seconds"
        except UnavailableError as error:
            reason = plain_line(self._redactor.mask(error.message), 300)
        self._failed[opening.name] = (opening.key, reason)
        self._tell(opening.name, reason)
        raise _unavailable(opening, reason)

    def _tell(self, name: str, failure: str | None) -> None:
        if self.heard is not None:
            self.heard(name, failure)

    def _was_silent(self, opening: Opening) -> bool:
        key, at = self._silent.get(opening.name, ("", 0.0))
        return key == opening.key and self._clock.monotonic() < at + SILENT_SECONDS


async def _answers(server: PinnedServer) -> bool:
    """Whether it is still there. Of a child that is seen; one elsewhere must be asked, and may be
    another since."""
    if server.opening.url is None:
        await server.look()
        return True
    try:
        await server.ask_anew()
    except UnavailableError:
        return False
    return True


def _unavailable(opening: Opening, reason: str) -> UnavailableError:
    return UnavailableError(
        f"the MCP server of {opening.name} is not available: {reason}", code="mcp_unavailable"
    )


class _Serve(Protocol):
    async def __call__(self, opening: Opening, egress: Egress, clock: Clock) -> McpServer: ...


def _load() -> _Serve:
    from amodal_rt.executors.acting.mcp_server import serve

    return serve
