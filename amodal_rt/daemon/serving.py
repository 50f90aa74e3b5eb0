"""From a folder to a running daemon and back: the order of starting, and its reverse.

Lock, ledger, workspace, endpoints, place among the nodes, recovery, control socket, sender,
engine, scheduler, watcher, TCP door, ready. The control socket opens early and closes late, so
that a person can look at a daemon that starts or stops.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from amodal_rt import __version__
from amodal_rt.clock import Clock, SystemClock, iso
from amodal_rt.daemon.assembly import build_house
from amodal_rt.daemon.ground import Ground, lay_ground
from amodal_rt.daemon.house import House
from amodal_rt.daemon.ledgers import in_touch, mark_ledger
from amodal_rt.daemon.lock import daemon_lock, prepare_state
from amodal_rt.daemon.neighbours import Neighbours
from amodal_rt.daemon.record import Record, socket_path
from amodal_rt.daemon.recording import HeadLog
from amodal_rt.daemon.services import Services
from amodal_rt.daemon.stopping import GRACE_SECONDS, Stopping
from amodal_rt.delivery.callbacks import Callback
from amodal_rt.delivery.writing import load_templates
from amodal_rt.domain.models import REHEARSAL
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.engine.runner import Engine
from amodal_rt.errors import InvalidError, UnavailableError
from amodal_rt.ids import Ids, SystemIds
from amodal_rt.logs import Log
from amodal_rt.ports import SNAPSHOT
from amodal_rt.servers.control_socket import ControlSocket
from amodal_rt.servers.serve import Routes, TcpDoor
from amodal_rt.servers.sse import Streams
from amodal_rt.settings import ProcessSettings, process_environment, state_folder

WEBHOOK_KEY = "webhook_key"
"""The fact that all webhook ids are made with; 256 random bits, drawn once."""
LEDGER_LOOK_SECONDS = 0.2
BROKEN_SECONDS = 0.6
"""How long closing may take when nothing of it can be recorded."""
PRUNE_SECONDS = 6 * 3600.0

_log = Log("daemon")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to serve and where. `listen` None: what `amodal.json` says; "" opens no TCP door."""

    root: Path
    settings: ProcessSettings
    listen: str | None = None
    callbacks: Mapping[str | None, Callback] = field(default_factory=dict[str | None, Callback])
    clock: Clock = field(default_factory=SystemClock)
    variables: Mapping[str, str] = field(default_factory=process_environment)


class Daemon:
    """One workspace, served for as long as `serving` lasts."""

    def __init__(self, plan: Plan, stopping: Stopping) -> None:
        self._plan = plan
        self._stopping = stopping
        self.services = Services()
        self._started_at = plan.clock.now()
        self._tcp: TcpDoor | None = None
        self._admin: TcpDoor | None = None
        self.state = state_folder(plan.root, plan.settings)
        self._socket = socket_path(self.state)
        self._record = Record(self.state)
        self.ids: Ids = SystemIds(plan.clock)

    @property
    def url(self) -> str | None:
        """How this machine reaches the TCP door; None where there is none."""
        return (self._tcp.url or None) if self._tcp else None

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[House, None]:
        """Start in order, yield when ready, stop in reverse.

        Raises ConflictError (`daemon_running`, `ledger_newer`) and UnavailableError.
        """
        prepare_state(self.state)
        async with AsyncExitStack() as stack:
            stack.enter_context(daemon_lock(self.state))
            stack.callback(self._record.remove)
            ground = lay_ground(
                self._plan.root,
                self.state,
                variables=self._plan.variables,
                clock=self._plan.clock,
                ids=self.ids,
            )
            for name, function in self._plan.callbacks.items():
                ground.callbacks.register(function, name)
            await stack.enter_async_context(ground.ledger)
            mark_ledger(ground.ledger, self.state)
            heads = HeadLog(ground.ledger, clock=self._plan.clock)
            # First in, so that the last head holds what the stop itself leaves on record.
            telling = self.services.running("head of the record", heads.run(), heads.tell)
            await stack.enter_async_context(telling)
            await ground.workspace.load()
            house = build_house(ground, webhook_key=await self._webhook_key(ground))
            await house.changes.settle()
            await house.facts.refresh()
            await house.endpoints.refresh()
            await house.tokens.reread()
            # Before it is one of the living: none of them may take its schedules for dead.
            await house.holding.tell()
            await house.membership.join()
            stack.push_async_callback(house.membership.leave)
            keeping = self.services.running("node", house.membership.keep())
            await stack.enter_async_context(keeping)
            await house.engine.recover()
            await house.scheduler.arm()
            await self._open(stack, house)
            yield house

    def status(self, house: House) -> dict[str, object]:
        """`GET /v1/status`, and what the record of a running daemon holds."""
        settings = house.ground.workspace.snapshot().settings
        return {
            "version": __version__,
            "pid": os.getpid(),
            "workspace": str(self._plan.root),
            "state_dir": str(self.state),
            "socket": str(self._socket),
            "listen": (self._tcp.address or None) if self._tcp else None,
            "url": self.url,
            "admin_url": self._admin.url if self._admin else self.url,
            "public_url": house.address.public,
            "node": house.ground.ledger.node_id,
            "ready": house.readiness.why_not() is None,
            "degraded": [*house.readiness.degraded, *house.watch.degraded],
            "model": ", ".join(settings.model) or REHEARSAL,
            "started_at": iso(self._started_at),
        }

    async def _open(self, stack: AsyncExitStack, house: House) -> None:
        """Everything that runs; nothing is announced before all of it does."""
        ground = house.ground
        stack.push_async_callback(house.egress.close)
        stack.push_async_callback(house.executor.close)
        if ground.workspace.snapshot().profiles:
            await house.executor.open()
        verbs = house.verbs(lambda: self.status(house))
        control = ControlSocket(self._socket, verbs, mcp=house.mcp.local)
        await control.open()
        stack.push_async_callback(control.close)
        run = self.services.running
        stop_engine = partial(self._stop_engine, house.engine)
        for service in (
            run("ledger watch", self._watch_ledger(ground)),
            run("readiness", house.readiness.prove()),
            run("pruning", _prune(ground)),
            run("settings", _follow_settings(house)),
            run("holding", house.holding.run()),
            run("clock", house.turned_back.run()),
            run("sender", house.sender.run(), house.sender.stop),
            run("workspace watch", house.watch.run()),
            run("engine", house.engine.run(), stop_engine),
            run("parked writes", house.writes.run(), house.writes.stop),
            run("scheduler", house.scheduler.run()),
            run("bus", house.bus.run()),
            run("own events", house.own_events.run()),
            run("loop lag", house.metrics.lag.run()),
            run("overflow", house.overflow.run(), house.overflow.record),
            run("watcher", ground.workspace.watch()),
        ):
            await stack.enter_async_context(service)
        await self._meet(stack, house)
        stack.push_async_callback(house.mcp.close)
        await self._open_tcp(stack, house)
        await stack.enter_async_context(run("triggers", house.remote.run()))
        await stack.enter_async_context(run("heartbeat", house.heartbeat().run()))
        house.readiness.begin()
        stack.callback(house.readiness.end)
        self._record.write(self.status(house))

    async def _meet(self, stack: AsyncExitStack, house: House) -> None:
        """Get in touch with other nodes, where there can be any."""
        ground = house.ground

        async def reread() -> None:
            await house.facts.reread()
            await house.endpoints.refresh()
            await house.tokens.reread()

        neighbours = Neighbours(ground.signals, reread=reread, clock=ground.clock)
        touch = in_touch(
            ground.ledger,
            sender=self.ids.token(),
            hear=neighbours.hear,
            may_act=ground.lease.held,
            clock=ground.clock,
        )
        if touch is not None:
            meeting = self.services.running("neighbours", neighbours.run(touch))
            await stack.enter_async_context(meeting)

    async def _open_tcp(self, stack: AsyncExitStack, house: House) -> None:
        settings = house.ground.workspace.snapshot().settings
        asked = self._plan.listen
        listen = asked if asked is not None else self._plan.settings.listen or settings.listen
        if not listen:
            return
        streams = Streams(self._plan.clock)
        guarded = house.guarded(streams, house.verbs(lambda: self.status(house)))
        guard, events = house.guard(), house.events_door().routes()
        pages, open_pages = _pages(house, streams)
        proven = house.proven_routes(house.readiness.why_not)
        if settings.admin_listen is None:
            self._tcp = TcpDoor(
                [*proven, *events, *open_pages, *pages], guard=guard, guarded=guarded
            )
        else:
            self._tcp = TcpDoor([*proven, *open_pages], guard=None)
            inner = [*house.health_routes(house.readiness.why_not), *events, *pages]
            self._admin = TcpDoor(inner, guard=guard, guarded=guarded)
            await self._open_door(stack, self._admin, settings.admin_listen)
            house.address.admin = self._admin.url
        await self._open_door(stack, self._tcp, listen)
        stack.callback(streams.close)
        house.address.bound = self._tcp.url

    async def _open_door(self, stack: AsyncExitStack, door: TcpDoor, listen: str) -> None:
        await door.open(listen)
        stack.push_async_callback(door.close)

    async def _stop_engine(self, engine: Engine) -> None:
        urgent = self._stopping.urgent
        stopped = asyncio.create_task(engine.stop(0 if urgent.is_set() else GRACE_SECONDS))
        urged = asyncio.create_task(urgent.wait())
        await asyncio.wait({stopped, urged}, return_when=asyncio.FIRST_COMPLETED)
        urged.cancel()
        if not stopped.done():
            await engine.stop(0)
        await stopped

    async def _webhook_key(self, ground: Ground) -> str:
        given = self._plan.settings.webhook_key
        return given or await ground.ledger.set_fact(WEBHOOK_KEY, self.ids.token(32))

    async def _watch_ledger(self, ground: Ground) -> None:
        """Nothing is durable any more once a commit failed midway: only a restart reads the
        disk again."""
        while not ground.ledger.broken:
            await self._plan.clock.sleep(LEDGER_LOOK_SECONDS)
        _log.error("daemon.ledger_broken")
        self._stopping.urge("the ledger is broken", seconds=BROKEN_SECONDS)
        self.services.fail("the ledger is broken")
        await asyncio.Event().wait()


def _pages(house: House, streams: Streams) -> tuple[Routes, Routes]:
    """Those for who has a session, and those for who has a link in a message."""
    dashboard = house.dashboard(streams)
    return dashboard.routes(), dashboard.open_routes()


async def _follow_settings(house: House) -> None:
    """What a new snapshot changes outside the rooms that read it at every use."""
    workspace, signals = house.ground.workspace, house.ground.signals
    with signals.listen(SNAPSHOT) as changed:
        while True:
            snapshot = workspace.snapshot()
            try:
                house.egress.configure(snapshot.settings.allow_private)
            except InvalidError as error:
                _log.error("daemon.egress_kept", error=error.message)
            if _has_template(snapshot):
                await asyncio.to_thread(load_templates)
            await changed()


def _has_template(snapshot: Snapshot) -> bool:
    deliveries = (
        state.definition.automation.delivery
        for state in snapshot.automations.values()
        if state.definition
    )
    return any(delivery and delivery.template for delivery in deliveries)


async def _prune(ground: Ground) -> None:
    """Forget what is past its retention, a few times a day."""
    while True:
        history = ground.workspace.snapshot().settings.limits.history
        try:
            pruned = await ground.ledger.prune(ground.clock.now(), history=history)
            _log.debug("ledger.pruned", rows=pruned.rows, longest_seconds=pruned.longest)
        except UnavailableError as error:
            _log.warning("ledger.prune_failed", error=error.message)
        await ground.clock.sleep(PRUNE_SECONDS)
