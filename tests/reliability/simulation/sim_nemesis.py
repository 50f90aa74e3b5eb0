"""What goes wrong, one thing after another, as a seed draws it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random

from sim_node import Node
from sim_outside import by_hand, webhook
from sim_world import RATE, Simulation

from amodal_rt.errors import UnavailableError

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TURNS = (
    timedelta(seconds=40),
    timedelta(minutes=20),
    HOUR,
    5 * HOUR,
    DAY,
    3 * DAY,
)
MOST_TURNED = 4 * DAY
LONGEST_SECONDS = 60.0
EVERY_SECONDS = 10.0
"""Between two events, on average, in elapsed seconds: 20 hours by the wall clock."""


class Nemesis:
    """Brings about one event after another until the days are over."""

    def __init__(self, simulation: Simulation, random: Random) -> None:
        self._simulation = simulation
        self._random = random
        self._pending: set[asyncio.Task[None]] = set()
        self._events: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (16, self._crash),
            (5, self._crash_twice),
            (10, self._pause),
            (9, self._cut),
            (4, self._cut_all),
            (9, self._turn),
            (4, self._suspend),
            (10, self._pause_automation),
            (7, self._edit),
            (16, self._burst),
            (5, self._hand),
        ]

    async def rage(self, seconds: float) -> None:
        """Until so much has elapsed; what is under way then is seen through."""
        end = self._simulation.world.elapsed + seconds
        weights = [weight for weight, _ in self._events]
        while True:
            wait = self._random.expovariate(1 / EVERY_SECONDS)
            if self._simulation.world.elapsed + wait > end:
                await asyncio.sleep(end - self._simulation.world.elapsed)
                break
            await asyncio.sleep(wait)
            ((_, event),) = self._random.choices(self._events, weights)
            self._simulation.counts[event.__name__.removeprefix("_")] += 1
            task = asyncio.get_running_loop().create_task(self._run(event))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)
        while self._pending:
            await asyncio.wait(set(self._pending))

    async def _run(self, event: Callable[[], Awaitable[None]]) -> None:
        await event()

    def _place(self) -> int:
        return self._random.randrange(len(self._simulation.nodes))

    def _someone(self) -> Node | None:
        living = self._simulation.living()
        return self._random.choice(living) if living else None

    def _name(self) -> str:
        return self._random.choice(list(self._simulation.snapshot.automations))

    def _span(self, mean: float) -> float:
        """Seconds elapsed; now and then very long."""
        long = 8.0 if self._random.random() < 0.07 else 1.0
        return min(self._random.expovariate(1 / (mean * long)), LONGEST_SECONDS)

    async def _crash(self) -> None:
        place = self._place()
        await self._simulation.fell(place)
        await asyncio.sleep(self._span(6.0))
        await self._rise(place)

    async def _crash_twice(self) -> None:
        """Killed again while it recovers."""
        place = self._place()
        await self._simulation.fell(place)
        for _ in range(self._random.randint(1, 3)):
            await asyncio.sleep(self._span(1.0))
            await self._rise(place)
            await asyncio.sleep(self._random.expovariate(20))
            await self._simulation.fell(place)
        await asyncio.sleep(self._span(1.0))
        await self._rise(place)

    async def _rise(self, place: int) -> None:
        if self._simulation.nodes[place] is None:
            await self._simulation.raise_node(place)

    async def _pause(self) -> None:
        node = self._someone()
        if node is not None:
            await self._hold([node], self._span(6.0))

    async def _suspend(self) -> None:
        """The machine sleeps: everything on it stands still."""
        await self._hold(self._simulation.living(), self._span(8.0))

    async def _hold(self, nodes: list[Node], seconds: float) -> None:
        held = [node for node in nodes if not node.machine.paused]
        for node in held:
            self._simulation.disturbed(node)
            node.machine.pause()
        await asyncio.sleep(seconds)
        for node in held:
            node.machine.proceed()
            if not node.dead:
                self._simulation.recovered(node)

    async def _cut(self) -> None:
        node = self._someone()
        if node is not None:
            await self._away([node], self._span(4.0))

    async def _cut_all(self) -> None:
        await self._away(self._simulation.living(), self._span(3.0))

    async def _away(self, nodes: list[Node], seconds: float) -> None:
        away = [node for node in nodes if not node.cut]
        for node in away:
            self._simulation.disturbed(node)
            node.cut = True
        await asyncio.sleep(seconds)
        for node in away:
            node.cut = False
            if not node.dead:
                self._simulation.recovered(node)

    async def _turn(self) -> None:
        length = self._random.choice(TURNS) * self._random.choice((1, -1))
        if abs(self._simulation.world.turned + length) <= MOST_TURNED:
            self._simulation.turn(length)

    async def _pause_automation(self) -> None:
        name = self._name()
        await self._insist(lambda node: self._simulation.pause_automation(node, name, paused=True))
        await asyncio.sleep(self._span(20.0))
        await self._insist(lambda node: self._simulation.pause_automation(node, name, paused=False))

    async def _insist(self, what: Callable[[Node], Awaitable[None]]) -> None:
        """Ask one node after another until one says that it is done."""
        while True:
            node = self._someone()
            if node is not None and not node.machine.paused:
                task = node.own(_quiet(what(node)))
                await asyncio.wait([task], timeout=2.0)
                if task.done() and not task.cancelled() and task.result():
                    return
                task.cancel()
            await asyncio.sleep(1.0)

    async def _edit(self) -> None:
        self._simulation.edit()

    async def _burst(self) -> None:
        """Senders deliver at once, and again what they think was not taken."""
        name, keys = self._name(), [f"k{self._random.randrange(60)}" for _ in range(4)]
        for key in keys * self._random.randint(1, 2):
            node = self._someone()
            if node is not None:
                node.own(_quiet(webhook(self._simulation, node, name, key)))

    async def _hand(self) -> None:
        node, name = self._someone(), self._name()
        if node is not None:
            node.own(_quiet(by_hand(self._simulation, node, name)))


async def _quiet(work: Awaitable[None]) -> bool:
    """Whether it was done; a ledger that is away is the sender's to try again."""
    try:
        await work
    except UnavailableError:
        return False
    return True


__all__ = ["RATE", "Nemesis"]
