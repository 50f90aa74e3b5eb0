"""One daemon: the real scheduler, engine and membership over its way to the shared ledger."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from random import Random
from typing import Any, cast

from sim_executor import Deeds, SimulatedExecutor
from sim_time import Machine, SeededIds, VirtualLoop, WallAlarm, World

from amodal_rt.daemon.nodes import LocalLease, Membership
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.run import Start
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.engine.runner import Engine
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import SNAPSHOT, Ledger, OutcomePlanner
from amodal_rt.settings import Environment
from amodal_rt.triggers.cron import Scheduler

OWNER: ContextVar["Node | None"] = ContextVar("owner", default=None)
READS = (
    "find_", "list_", "next_", "last_", "previous", "entries", "cancels_asked", "schedule_states",
    "automation_facts", "fact", "live", "query", "count_", "failure_state", "writes_since",
)  # fmt: skip
Saw = Callable[["Node", str, tuple[Any, ...], dict[str, Any], Any], None]


def owning_tasks(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
    """A task factory: what a node's code starts is that node's, and dies with it."""
    task = asyncio.Task(coro, loop=loop, **kwargs)
    owner = OWNER.get()
    if owner is not None:
        owner.tasks.add(task)
        task.add_done_callback(owner.tasks.discard)
    return task


class Bridge(ProcessSignals):
    """Wake-ups of one node, which `spread` may carry to the others."""

    def __init__(self, spread: Callable[[str], None]) -> None:
        super().__init__()
        self._spread = spread

    def notify(self, topic: str) -> None:
        super().notify(topic)
        self._spread(topic)

    def hear(self, topic: str) -> None:
        """A notification from another node."""
        super().notify(topic)


class Way:
    """A node's way to the ledger: slow at times, cut at times, and watched."""

    def __init__(self, node: "Node", inner: Ledger, saw: Saw) -> None:
        self._node = node
        self._inner = inner
        self._saw = saw

    def expect(self, starts: Sequence[Start]) -> None:
        """Stays on the node: nothing of it is on its way."""
        self._inner.expect(starts)

    def __getattr__(self, name: str) -> Any:
        found: Any = getattr(self._inner, name)
        if not callable(found):
            return found
        ask = cast("Callable[..., Coroutine[Any, Any, Any]]", found)
        reads = name.startswith(READS)

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._node.travel(0.0 if reads else 0.15)
            result = await self._node.answer(ask(*args, **kwargs), seen(args, kwargs))
            if not reads:
                await self._node.travel(0.15)
            return result

        def seen(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[Any], None]:
            return lambda result: self._saw(self._node, name, args, kwargs, result)

        setattr(self, name, call)
        return call


class Shelf:
    """What this node has read of the workspace's files."""

    def __init__(self, signals: Bridge, snapshot: Snapshot) -> None:
        self._signals = signals
        self._snapshot = snapshot
        self._versions: dict[tuple[str, str], Definition] = {}
        self._keep()

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def environment(self) -> Environment:
        return Environment()

    async def find_version(self, name: str, hash: str) -> Definition | None:
        return self._versions.get((name, hash))

    def put(self, snapshot: Snapshot) -> None:
        if snapshot.version > self._snapshot.version:
            self._snapshot = snapshot
            self._keep()
            self._signals.hear(SNAPSHOT)

    def _keep(self) -> None:
        for name, state in self._snapshot.automations.items():
            if state.definition is not None:
                self._versions[name, state.definition.hash] = state.definition


class Node:
    """One life of one daemon. After `crash` nothing of it does anything any more."""

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        world: World,
        ledger: Ledger,
        snapshot: Snapshot,
        planner: OutcomePlanner,
        deeds: Deeds,
        random: Random,
        shared: bool,
        saw: Saw,
        on_live: Callable[["Node"], None],
        spread: Callable[["Node", str], None],
    ) -> None:
        self._loop = loop
        self._random = random
        self.machine = Machine(world)
        self.ids = SeededIds(world, random)
        self.ledger: Any = Way(self, ledger, saw)
        self.signals = Bridge(lambda topic: spread(self, topic))
        self.shelf = Shelf(self.signals, snapshot)
        self.tasks: set[asyncio.Task[Any]] = set()
        self.dead = False
        self.cut = False
        self.threaded = False
        self.well_since: float | None = None
        self.on_live = on_live
        self.live = False
        self.inner = ledger
        self.wrong: list[str] = []
        lease = LocalLease(self.machine)
        self.engine = Engine(
            ledger=self.ledger,
            catalogue=self.shelf,
            executor=SimulatedExecutor(self, deeds, random.getrandbits(32)),
            planner=planner,
            signals=self.signals,
            clock=self.machine,
            mask=lambda text: text,
            lease=lease,
        )
        self.membership = Membership(
            ledger=self.ledger,
            lease=lease,
            carries=self.engine,
            signals=self.signals,
            clock=self.machine,
            shared=shared,
        )
        self.alarm = WallAlarm(self.machine)
        self._scheduler = Scheduler(
            catalogue=self.shelf,
            ledger=self.ledger,
            facts=self.ledger,
            signals=self.signals,
            clock=self.machine,
            ids=self.ids,
            alarm=self.alarm,
        )

    @property
    def well(self) -> bool:
        """Whether nothing keeps it from ruling on slots."""
        return self.well_since is not None

    def begin(self) -> None:
        """Start as the daemon does."""
        self.own(self._live())

    def own(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something as this node's."""
        token = OWNER.set(self)
        try:
            return self._loop.create_task(coro)
        finally:
            OWNER.reset(token)

    async def crash(self) -> None:
        """Nothing more is done, wherever it stood."""
        self.dead = True
        self.alarm.close()
        for _ in range(50):
            for task in list(self.tasks):
                task.cancel()
            await asyncio.sleep(0)
            if not self.tasks:
                return
        raise AssertionError(f"does not die: {self.tasks}")

    async def stop(self) -> None:
        """End in order."""
        await self.own(self.engine.stop(0))
        await self.own(self.membership.leave())
        await self.crash()

    async def travel(self, slow: float) -> None:
        """On the way to the ledger or back."""
        if slow and self._random.random() < slow:
            await asyncio.sleep(self._random.expovariate(50))
        if self.dead:
            raise asyncio.CancelledError
        if self.machine.paused:
            await self.machine.gate()
        if self.cut:
            raise UnavailableError("the ledger is away", code="ledger")

    async def answer(self, asked: Coroutine[Any, Any, Any], saw: Callable[[Any], None]) -> Any:
        """What the ledger says. What it did stands in the history, heard or not."""
        if not self.threaded:
            result = await asked
            saw(result)
            return result
        self._loop.busy += 1
        token = OWNER.set(None)
        task = self._loop.create_task(asked)
        OWNER.reset(token)

        def done(_: object) -> None:
            self._loop.busy -= 1
            if not task.cancelled() and task.exception() is None:
                saw(task.result())

        task.add_done_callback(done)
        return await asyncio.shield(task)

    async def _live(self) -> None:
        while True:
            try:
                await self.membership.join()
                break
            except UnavailableError:
                await self.machine.sleep(1.0)
        self._service(self.membership.keep())
        while True:
            try:
                await self.engine.recover()
                break
            except UnavailableError:
                await self.machine.sleep(1.0)
        self._service(self.engine.run())
        self._service(self._scheduler.run())
        self.on_live(self)

    def _service(self, coro: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(coro)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not self.dead and not task.cancelled() and task.exception() is not None:
            self.wrong.append(f"a service ended: {task.exception()!r}")
