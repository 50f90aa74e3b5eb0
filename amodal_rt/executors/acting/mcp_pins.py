"""Tools as they were when their server was first seen, or as a person approved them since.

A server may say something else of its tools tomorrow, when a reviewer has long looked away. What
was not seen before, or reads differently now, is off: it is not offered and not called, until
somebody approves it as it is.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, cast

from amodal_rt.clock import Clock, iso
from amodal_rt.errors import DeniedError, NotFoundError
from amodal_rt.executors.acting.mcp_opening import McpAnswer, McpServer, McpTool, Opening
from amodal_rt.logs import Log
from amodal_rt.ports import Act, Caller

_log = Log("executors.acting")
_RUNTIME = Caller(actor="runtime", door="runtime")


class ToolState(StrEnum):
    """How a tool stands among what is known of its server. `changed` and `new` are off."""

    SEEN = "seen"
    APPROVED = "approved"
    CHANGED = "changed"
    NEW = "new"

    @property
    def on(self) -> bool:
        """Whether it may be called."""
        return self in {ToolState.SEEN, ToolState.APPROVED}


class PinLedger(Protocol):
    """The part of the ledger that remembers tools."""

    async def fact(self, key: str) -> str | None:
        """As `ports.FactLedger`."""
        ...

    async def set_fact(self, key: str, value: str) -> str:
        """As `ports.FactLedger`."""
        ...

    async def set_facts(self, values: Mapping[str, str], *, act: Act) -> None:
        """As `ports.FactLedger`."""
        ...

    async def audit(
        self, action: str, *, subject: str, caller: Caller, at: datetime, data: Mapping[str, object]
    ) -> None:
        """As `ports.FactLedger`."""
        ...


@dataclass(frozen=True, slots=True)
class Standing:
    """Each tool of a server by name, and how it stands."""

    states: Mapping[str, ToolState]

    @property
    def held(self) -> tuple[str, ...]:
        """Names of the tools that are off."""
        return tuple(sorted(name for name, each in self.states.items() if not each.on))


class ToolPins:
    """What the ledger knows of the tools of servers.

    Of a server that is new to it, all tools are noted as they are: whoever wrote the connection
    chose it. Another command or URL in the file is another server. Facts are only ever added, so
    that what was once seen or approved stays so, also when a server goes back to it.
    """

    def __init__(self, ledger: PinLedger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._held: dict[str, tuple[str, ...]] = {}

    @property
    def held(self) -> Mapping[str, tuple[str, ...]]:
        """By connection, the tools that are off as this process saw them last."""
        return {name: tools for name, tools in self._held.items() if tools}

    async def judge(self, opening: Opening, tools: tuple[McpTool, ...]) -> Standing:
        """How each tool stands; a change is audited when it is first seen."""
        place = _place(opening)
        digests = {each.name: digest_of(each) for each in tools}
        first = await self._ledger.set_fact(f"{place} tools", json.dumps(digests, sort_keys=True))
        known = cast("dict[str, str]", json.loads(first))
        states: dict[str, ToolState] = {}
        for name, digest in digests.items():
            if known.get(name) == digest:
                states[name] = ToolState.SEEN
            elif await self._ledger.fact(f"{place} {name} {digest}") is not None:
                states[name] = ToolState.APPROVED
            else:
                states[name] = ToolState.CHANGED if name in known else ToolState.NEW
        standing = Standing(states)
        await self._note(opening.name, standing)
        return standing

    async def approve(
        self,
        opening: Opening,
        tools: tuple[McpTool, ...],
        names: tuple[str, ...] | None,
        caller: Caller,
    ) -> list[str]:
        """Approve the held ones of `tools`, or those of `names`, as they are; audited. Gives
        their names. Raises NotFoundError (`unknown_tool`) for a name that the server does not have.
        """
        standing = await self.judge(opening, tools)
        for name in names or ():
            if name not in standing.states:
                known = ", ".join(sorted(standing.states))
                message = f"the server of {opening.name} has no tool {name[:60]!r}"
                raise NotFoundError(message, code="unknown_tool", hint=f"it has: {known}")
        chosen = [each for each in standing.held if names is None or each in names]
        digests = {each.name: digest_of(each) for each in tools if each.name in chosen}
        at = self._clock.now()
        said = json.dumps({"by": caller.actor, "door": caller.door, "at": iso(at)})
        if digests:
            place = _place(opening)
            facts = {f"{place} {name} {digest}": said for name, digest in digests.items()}
            act = Act(
                action="connection.tools_approved",
                subject=opening.name,
                caller=caller,
                at=at,
                data={"tools": digests},
            )
            await self._ledger.set_facts(facts, act=act)
        await self.judge(opening, tools)
        return chosen

    async def _note(self, connection: str, standing: Standing) -> None:
        before = self._held.get(connection, ())
        self._held[connection] = standing.held
        fresh = [each for each in standing.held if each not in before]
        if not fresh:
            return
        _log.warning("connection.tools_held", connection=connection, tools=fresh)
        data = {name: standing.states[name].value for name in fresh}
        await self._ledger.audit(
            "connection.tools_held",
            subject=connection,
            caller=_RUNTIME,
            at=self._clock.now(),
            data={"tools": data},
        )


class PinnedServer:
    """A server of which only the tools that are on can be seen and called."""

    def __init__(self, inner: McpServer, opening: Opening, pins: ToolPins) -> None:
        self.inner = inner
        self.opening = opening
        self._pins = pins
        self._judging = asyncio.Lock()
        self._judged: tuple[McpTool, ...] = ()
        self.standing = Standing({})

    @property
    def alive(self) -> bool:
        """As `McpServer.alive`."""
        return self.inner.alive

    @property
    def tools(self) -> tuple[McpTool, ...]:
        """Those that are on."""
        states = self.standing.states
        return tuple(each for each in self._judged if states[each.name].on)

    @property
    def offered(self) -> tuple[McpTool, ...]:
        """All that the server listed, as they were judged."""
        return self._judged

    async def ask_anew(self) -> None:
        """As `McpServer.ask_anew`; what it lists is judged."""
        await self.inner.ask_anew()
        await self.look()

    @property
    def end_is_seen(self) -> bool:
        """As `McpServer.end_is_seen`."""
        return self.inner.end_is_seen

    def watch(self) -> None:
        """As `McpServer.watch`."""
        self.inner.watch()

    async def look(self) -> None:
        """Judge what the server lists now, if it lists something else."""
        async with self._judging:
            listed = self.inner.tools
            if listed is not self._judged or not self.standing.states:
                standing = await self._pins.judge(self.opening, listed)
                self._judged, self.standing = listed, standing

    async def look_again(self) -> None:
        """Judge it also where it lists the same: somebody may have approved of it."""
        async with self._judging:
            listed = self.inner.tools
            self.standing = await self._pins.judge(self.opening, listed)
            self._judged = listed

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, object],
        *,
        key: str | None = None,
        cause: str | None = None,
    ) -> McpAnswer:
        """As `McpServer.call`. Raises DeniedError (`tool_held`) for a tool that is off."""
        self.require(tool)
        try:
            return await self.inner.call(tool, arguments, key=key, cause=cause)
        finally:
            await self.look()

    def require(self, tool: str) -> None:
        """Raise DeniedError (`tool_held`) for a tool that is off."""
        state = self.standing.states.get(tool)
        if state is not None and not state.on:
            raise held_error(self.opening.name, tool, state)

    async def close(self) -> None:
        """As `McpServer.close`."""
        await self.inner.close()


def held_error(connection: str, tool: str, state: ToolState) -> DeniedError:
    """The refusal of a tool that is off, with the verb that opens it."""
    what = "is new" if state is ToolState.NEW else "reads differently than when it was first seen"
    return DeniedError(
        f"{connection}.{tool} {what}, and nobody has approved it",
        code="tool_held",
        hint=f"look at it with ops connections tools {connection}, then "
        f"ops connections approve {connection} {tool}",
    )


def digest_of(tool: McpTool) -> str:
    """SHA-256 of all that a model is told of a tool, and of what its server says that it does."""
    said = [tool.name, tool.description, tool.schema, tool.read_only_hint, tool.digest]
    text = json.dumps(said, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _place(opening: Opening) -> str:
    """Names the server: its command or URL, without what differs between two starts."""
    said = json.dumps([opening.command, opening.args, opening.url])
    return f"mcp {opening.name} {hashlib.sha256(said.encode()).hexdigest()[:16]}"
