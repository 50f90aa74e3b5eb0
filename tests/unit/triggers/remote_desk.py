"""Servers that watch, as a test wants them, with time in its hands."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.automation import AgentWork, Automation, ChatMessage, Definition
from amodal_rt.domain.connection import Connection, McpServer, Protocol
from amodal_rt.domain.node import NodeRecord
from amodal_rt.domain.params import Param, ParamTest
from amodal_rt.domain.remote_trigger import SPARE, RemoteTrigger, RemoteType
from amodal_rt.domain.trigger import EventCondition, EventTrigger, Wanted
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.errors import AmodalError, ConflictError, UnavailableError
from amodal_rt.ids import SystemIds
from amodal_rt.ports import FACTS, SNAPSHOT, AutomationFacts
from amodal_rt.settings import Environment
from amodal_rt.testing.clock import FakeClock
from amodal_rt.triggers.remote import RemoteTriggers

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
URL = "http://127.0.0.1:3847/api/trigger-callback"


def server(name: str = "notes", **changes: object) -> Connection:
    """A server elsewhere, or with `command` a child."""
    mcp = McpServer(url="https://mcp.example/mcp")
    given: dict[str, object] = {"mcp": mcp, "hash": "h1", **changes}
    return Connection(name=name, protocol=Protocol.MCP, **given)  # pyright: ignore[reportArgumentType]


def child(name: str = "notes") -> Connection:
    """A server over stdio."""
    return server(name, mcp=McpServer(command="notes-server"))


def waiting(
    name: str, *events: str, params: Mapping[str, object] | None = None, **changes: object
) -> Definition:
    """An automation with one trigger for each event."""
    wanted = Wanted(
        params=tuple(Param(key, ParamTest.EQ, (value,)) for key, value in (params or {}).items())  # pyright: ignore[reportArgumentType]
    )
    triggers = tuple(
        EventTrigger(conditions=(EventCondition(event=event, wanted=wanted),), key=str(place))
        for place, event in enumerate(events)
    )
    automation = Automation(
        name=name,
        title=name,
        work=AgentWork(messages=(ChatMessage("user", "x"),)),
        triggers=triggers,
        **changes,  # pyright: ignore[reportArgumentType]
    )
    return Definition(
        automation=automation, hash="d1", document="{}", file=f"automations/{name}.json", lines={}
    )


@dataclass
class Told:
    """One call of TRIGGER_CONFIGURE."""

    watcher: str
    type: str
    params: Mapping[str, str]
    callback: tuple[str, str] | None


@dataclass
class Servers:
    """Implements `ports.TriggerConnections`; `answers` are raised, one a call, None says yes.
    `away` says why a server is not there; the end of one that is `unseen` is not told of."""

    told: list[Told] = field(default_factory=list[Told])
    answers: list[Exception | None] = field(default_factory=list[Exception | None])
    lives: dict[str, str | None] = field(default_factory=dict[str, str | None])
    away: dict[str, str] = field(default_factory=dict[str, str])
    unseen: set[str] = field(default_factory=set[str])
    closed: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])

    async def list_types(self, connection: Connection) -> list[RemoteType]:
        return []

    async def configure(
        self,
        connection: Connection,
        *,
        watcher: str,
        type: str,
        params: Mapping[str, str],
        callback: tuple[str, str] | None,
    ) -> None:
        name = watcher.rpartition("/")[0]
        self.told.append(Told(name, type, params, callback))
        if connection.name in self.closed:
            await self.closed[connection.name].wait()
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer

    def life(self, connection: Connection) -> str | None:
        return None if connection.name in self.away else self.lives.get(connection.name, "")

    async def visit(self, connection: Connection) -> str | None:
        return self.away.get(connection.name)

    def end_is_seen(self, connection: Connection) -> bool:
        return connection.name not in self.unseen

    def tokens(self) -> list[str]:
        """What was given out, oldest first."""
        return [each.callback[1] for each in self.told if each.callback]

    def calls(self) -> list[tuple[str, bool]]:
        """Who was told, and whether to begin."""
        return [(each.watcher, each.callback is not None) for each in self.told]


@dataclass
class Rows:
    """The part of the ledger that registering needs; `away` makes its writes fail, `held` keeps
    those waiting who read."""

    node_id: str = "node_a"
    nodes: list[str] = field(default_factory=lambda: ["node_a"])
    kept: dict[tuple[str, str], RemoteTrigger] = field(
        default_factory=dict[tuple[str, str], RemoteTrigger]
    )
    facts: dict[str, AutomationFacts] = field(default_factory=dict[str, AutomationFacts])
    away: bool = False
    held: asyncio.Event | None = None
    reads: int = 0

    async def remote_triggers(self) -> list[RemoteTrigger]:
        self.reads += 1
        if self.held is not None:
            await self.held.wait()
        return [self.kept[place] for place in sorted(self.kept)]

    async def set_remote_trigger(self, trigger: RemoteTrigger) -> None:
        self._write()
        self.kept[trigger.automation, trigger.key] = trigger

    async def remove_remote_trigger(self, automation: str, key: str) -> None:
        self._write()
        self.kept.pop((automation, key), None)

    async def automation_facts(self) -> Mapping[str, AutomationFacts]:
        return self.facts

    async def list_nodes(self) -> list[NodeRecord]:
        return [
            NodeRecord(
                node_id=each, host="h", pid=1, version="1", started_at=NINE, seen_at=NINE,
                expires_at=NINE,
            )
            for each in self.nodes
        ]  # fmt: skip

    def _write(self) -> None:
        if self.away:
            raise UnavailableError("the ledger is away", code="ledger")


class Held:
    """A lease that holds unless a test says otherwise."""

    good = True

    def held(self) -> bool:
        return self.good


@dataclass
class RemoteDesk:
    """What a test of registering needs."""

    clock: FakeClock = field(default_factory=lambda: FakeClock(NINE))
    signals: ProcessSignals = field(default_factory=ProcessSignals)
    rows: Rows = field(default_factory=Rows)
    servers: Servers = field(default_factory=Servers)
    lease: Held = field(default_factory=Held)
    current: Snapshot = field(default_factory=lambda: Snapshot(version=1))
    url: str | None = URL

    def snapshot(self) -> Snapshot:
        return self.current

    def environment(self) -> Environment:
        return Environment()

    def put(self, *definitions: Definition, connections: tuple[Connection, ...] = ()) -> None:
        """These automations and no others."""
        states = {
            each.automation.name: AutomationState(
                name=each.automation.name, file=each.file, definition=each
            )
            for each in definitions
        }
        servers = connections or tuple(self.current.connections.values()) or (server(),)
        self.current = replace(
            self.current,
            version=self.current.version + 1,
            automations=states,
            connections={each.name: each for each in servers},
        )
        self.signals.notify(SNAPSHOT)

    def pause(self, name: str, *, paused: bool = True) -> None:
        self.rows.facts[name] = AutomationFacts(name=name, paused=paused)
        self.signals.notify(FACTS)

    def remote(self) -> RemoteTriggers:
        """One that knows nothing yet, as after a start of the daemon."""
        return RemoteTriggers(
            catalogue=self,
            ledger=self.rows,  # pyright: ignore[reportArgumentType]
            connections=self.servers,
            callback_url=lambda: self.url,
            lease=self.lease,
            signals=self.signals,
            clock=self.clock,
            ids=SystemIds(self.clock),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[RemoteTriggers]:
        """A service that runs for as long as the block."""
        remote = self.remote()
        task = asyncio.create_task(remote.run())
        await self.clock.settle()
        try:
            yield remote
            assert not task.done(), "the service ended by itself"
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def opens(self, remote: RemoteTriggers, token: str) -> str | None:
        """Whose token it is by now, once whatever was remembered is stale."""
        await self.clock.advance(timedelta(seconds=1.5))
        found = await remote.tokens.find(token)
        if found is None:
            return None
        _, spare, number = found.key.partition(SPARE)
        return f"{found.automation or 'all'}/{found.type}{spare}{number}"


def refused() -> AmodalError:
    return ConflictError("it said no", code="trigger_refused")
