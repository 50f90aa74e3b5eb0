"""Time that passes as soon as nothing is left to do: an event loop without waiting."""

import asyncio
import selectors
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from random import Random

from amodal_rt.ids import sortable

PATIENCE_SECONDS = 30.0
"""How long a thread (a ledger's writer) may take to answer."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Jumps to the next timer when nothing else can run.

    While `busy` is above zero an answer of another thread is under way, and it waits for
    that instead. A loop in which nothing will ever happen again raises.
    """

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.busy = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.elapsed


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self._loop.busy:
            found = super().select(0 if timeout == 0 else PATIENCE_SECONDS)
            assert found or timeout == 0, "a thread did not answer"
            return found
        assert timeout is not None, "nothing will ever happen again"
        self._loop.elapsed += max(timeout, 0.0)
        return []


class World:
    """The wall clock of all machines: it runs `rate` times as fast as what elapses.

    So thirty days pass in six minutes, and leases and looks of seconds meet schedules of
    hours. `turn` moves it, as a person or a time server does.
    """

    def __init__(self, loop: VirtualLoop, start: datetime, rate: float) -> None:
        self._loop = loop
        self._start = start
        self.rate = rate
        self.turned = timedelta(0)
        self.highest = start
        """The latest that any machine ever read."""

    @property
    def elapsed(self) -> float:
        return self._loop.elapsed

    def now(self) -> datetime:
        passed = timedelta(milliseconds=int(self._loop.elapsed * self.rate * 1000))
        now = self._start + self.turned + passed
        self.highest = max(self.highest, now)
        return now

    def turn(self, length: timedelta) -> None:
        self.turned += length
        self.now()


class Machine:
    """One node's clock, which stands still for its program while the node is paused."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._running = asyncio.Event()
        self._running.set()
        self.on_sleep: Callable[[], None] = lambda: None

    def pause(self) -> None:
        self._running.clear()

    def proceed(self) -> None:
        self._running.set()

    @property
    def paused(self) -> bool:
        return not self._running.is_set()

    async def gate(self) -> None:
        """Where the program stands while the node is paused."""
        await self._running.wait()

    def now(self) -> datetime:
        return self.world.now()

    def monotonic(self) -> float:
        return self.world.elapsed

    async def sleep(self, seconds: float) -> None:
        self.on_sleep()
        await asyncio.sleep(max(seconds, 0))
        if self.paused:
            await self.gate()

    def deadline(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)


class LeaseClock:
    """The ledger's own clock, by which leases count: no wall clock of a node concerns it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._world.elapsed)

    def monotonic(self) -> float:
        return self._world.elapsed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def deadline(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return asyncio.timeout(seconds)


class WallAlarm:
    """Rings when the time that was left has elapsed, whatever the wall clock did meanwhile."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ring = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._at: datetime | None = None

    def set(self, at: datetime | None) -> None:
        if at == self._at:
            return
        self.close()
        self._at = at
        if at is not None:
            left = (at - self._machine.now()).total_seconds() / self._machine.world.rate
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(left, 0.0) + 1e-6, self._fire)

    async def wait(self) -> None:
        await self._ring.wait()
        await self._machine.gate()
        self._ring.clear()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._at = None
        self._ring.set()


class SeededIds:
    """Identifiers that a seed repeats."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random

    def run(self) -> str:
        return "run_" + self._sortable()

    def event(self) -> str:
        return "evt_" + self._sortable()

    def delivery(self) -> str:
        return "msg_" + self._sortable()

    def write(self) -> str:
        return "write_" + self._sortable()

    def node(self) -> str:
        return "node_" + self._sortable()

    def token(self, size: int = 16) -> str:
        return self._random.randbytes(size).hex()

    def fraction(self) -> float:
        return self._random.random()

    def _sortable(self) -> str:
        return sortable(self._world.now(), self._random.getrandbits(38))
