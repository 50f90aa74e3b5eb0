"""A month of some daemons on one ledger, with everything going wrong that a seed draws."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sim_calendar import CRONS, INTERVALS, STARTS, ZONES, slots
from sim_executor import Deeds
from sim_node import Node
from sim_oracle import GRACE_SECONDS, TICK_SECONDS, Era, Oracle, Watched
from sim_outside import CALLER
from sim_time import LeaseClock, SeededIds, VirtualLoop, World

from amodal_rt.domain import schedule
from amodal_rt.domain.automation import (
    AgentWork,
    Automation,
    CatchUp,
    CatchUpPolicy,
    ChatMessage,
    Definition,
    Limits,
    Retry,
)
from amodal_rt.domain.delivery import (
    DeliveryStatus,
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
    Target,
    TargetType,
)
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import OPEN, Run, RunStatus
from amodal_rt.domain.trigger import CronTrigger, Schedule, WebhookTrigger
from amodal_rt.domain.workspace import AutomationState, Snapshot, WorkspaceLimits, WorkspaceSettings
from amodal_rt.ports import FACTS, Ledger, RunFilter

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RATE = 7200.0
SETTLE_SECONDS = 40.0
"""Elapsed time in which nodes that are well again take over and catch up."""
OVER_SECONDS = 150.0
"""Within so much more elapsed time every run ends that was open then. One that hangs in each of
its three tries takes 24 seconds for them, and up to 15 before each: an engine that is not told
looks no more often, and an hour of backoff passes in half a second here. Before all that it may
wait in a queue."""
_LOOK_SECONDS = 5.0
TARGET = Target(type=TargetType.CALLBACK, label="ui", name="ui")
LeaveLedger = Callable[[Ledger], Awaitable[None]]


@dataclass
class Scene:
    """What a simulation is made of. `open_ledger` gives a node's view of the one ledger."""

    seed: int
    days: int
    most_nodes: int
    open_ledger: Callable[[Any, SeededIds], Awaitable[Ledger]]
    close_ledger: LeaveLedger
    threaded: bool = False


class OnePlanner:
    """Owes one message for each completed run."""

    def __init__(self, ids: SeededIds) -> None:
        self._ids = ids

    def plan(
        self, run: Run, outcome: Outcome, definition: Definition, state: FailureState, now: Any
    ) -> Plan:
        if outcome.status is not RunStatus.COMPLETED:
            return Plan()
        message = OutboxMessage(
            delivery_id=self._ids.delivery(),
            run_id=run.run_id,
            automation=run.automation,
            kind=MessageKind.RESULT,
            target=TARGET,
            body={"text": "done"},
            created_at=now,
            expires_at=now + DAY,
            status=DeliveryStatus.SUPPRESSED,
        )
        return Plan((message,))

    def plan_unknown_write(
        self, run: Run, outcome: Outcome, settings: WorkspaceSettings, now: Any
    ) -> Plan:
        return Plan()


class Simulation:
    """Lives through one scene. `oracle.wrong` says afterwards what should not have been."""

    def __init__(self, loop: VirtualLoop, scene: Scene) -> None:
        self.loop = loop
        self.scene = scene
        self.random = Random(scene.seed)
        self.start = self.random.choice(STARTS)
        self.world = World(loop, self.start, RATE)
        self.lease_clock = LeaseClock(self.world)
        self.oracle = Oracle()
        self.deeds = Deeds()
        self.counts = Counter[str]()
        self.nodes: list[Node | None] = []
        self.well: list[list[float]] = []
        """Stretches of elapsed time in which some node could rule."""
        self.owed: frozenset[str] = frozenset()
        """Runs that were open when all had been well for a while."""
        self.turns: list[tuple[float, timedelta]] = [(0.0, timedelta(0))]
        self._open: dict[Node, list[float]] = {}
        self._ids = SeededIds(self.world, Random(scene.seed + 1))
        self._overall = self.random.choice((2, 3, 5, 10))
        within = self.random.choice((6 * HOUR, 2 * DAY, 20 * DAY))
        limits = WorkspaceLimits(concurrency=self._overall, start_within=within)
        names = [f"job-{number}" for number in range(self.random.randint(2, 4))]
        self.snapshot = Snapshot(version=1, settings=WorkspaceSettings(limits=limits))
        self.put({name: self._draw(name) for name in names})

    # the workspace

    def _draw(self, name: str) -> Automation:
        chance = self.random
        if chance.random() < 0.75:
            what = Schedule(cron=chance.choice(CRONS), timezone=chance.choice(ZONES))
        else:
            what = Schedule(every=chance.choice(INTERVALS))
        return Automation(
            name=name,
            title=name,
            work=AgentWork(messages=(ChatMessage("user", "x"),)),
            triggers=(CronTrigger(schedule=what, key="cron:0"), WebhookTrigger()),
            limits=Limits(concurrency=chance.choice((1, 1, 2, 3)), timeout=timedelta(seconds=5)),
            catch_up=self._draw_policy(),
            retry=Retry(attempts=chance.choice((0, 0, 1, 2)), backoff=HOUR),
        )

    def _draw_policy(self) -> CatchUp:
        within = self.random.choice((3 * HOUR, DAY, 3 * DAY, 30 * DAY))
        return CatchUp(policy=self.random.choice(list(CatchUpPolicy)), within=within)

    def put(self, automations: dict[str, Automation]) -> None:
        """A new reading of the workspace, which the nodes get one after another."""
        states = dict(self.snapshot.automations)
        for name, automation in automations.items():
            text = repr(automation)
            definition = Definition(
                automation=automation,
                hash=hashlib.sha256(text.encode()).hexdigest(),
                document=text,
                file=f"automations/{name}.json",
            )
            states[name] = AutomationState(name=name, file=definition.file, definition=definition)
            self._expect(definition)
        version = self.snapshot.version + 1
        self.snapshot = replace(self.snapshot, version=version, automations=states)

    def _expect(self, definition: Definition) -> None:
        automation = definition.automation
        what = automation.crons[0].schedule
        fingerprint = schedule.fingerprint(what)
        watched = self.oracle.watched.setdefault(automation.name, Watched())
        watched.policies[definition.hash] = (automation.catch_up, fingerprint)
        if fingerprint not in watched.eras:
            for era in watched.eras.values():
                if era.ended is None:
                    era.ended, era.ended_at = self.world.now(), self.world.elapsed
            watched.eras[fingerprint] = Era(slots(what, self.start))
        limit = automation.limits.concurrency
        self.oracle.limits[automation.name] = max(limit, self.oracle.limits.get(automation.name, 0))

    # nodes

    async def raise_node(self, place: int) -> None:
        """A daemon starts at `place`."""
        ids = SeededIds(self.world, Random(self.random.getrandbits(64)))
        machine_clock: Any = _Wall(self.world)
        ledger = await self.scene.open_ledger(machine_clock, ids)
        node = Node(
            loop=self.loop,
            world=self.world,
            ledger=ledger,
            snapshot=self.snapshot,
            planner=OnePlanner(self._ids),
            deeds=self.deeds,
            random=Random(self.random.getrandbits(64)),
            shared=len(self.nodes) > 1,
            saw=self._saw,
            on_live=self._judge_well,
            spread=self._spread,
        )
        node.threaded = self.scene.threaded
        self.nodes[place] = node
        node.begin()

    async def fell(self, place: int) -> None:
        """The daemon at `place` is killed."""
        node = self.nodes[place]
        if node is not None:
            self.nodes[place] = None
            self._unwell(node)
            await node.crash()
            self.oracle.wrong += node.wrong
            await self.scene.close_ledger(node.inner)

    def living(self) -> list[Node]:
        return [node for node in self.nodes if node is not None]

    def _judge_well(self, node: Node) -> None:
        """Whether the node can rule on slots from now on."""
        live = node in self.nodes and not (node.cut or node.machine.paused)
        node.live = True
        if live and node not in self._open:
            self._open[node] = [self.world.elapsed, float("inf")]
            self.well.append(self._open[node])

    def _unwell(self, node: Node) -> None:
        stretch = self._open.pop(node, None)
        if stretch is not None:
            stretch[1] = self.world.elapsed

    def _spread(self, node: Node, topic: str) -> None:
        for other in self.nodes:
            if other is not None and other is not node and self.random.random() < 0.9:
                delay = self.random.expovariate(30)
                self.loop.call_later(delay, other.signals.hear, topic)

    # what the ledger did

    def _saw(
        self, node: Node, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> None:
        oracle, now = self.oracle, self.world.elapsed
        if name == "set_schedule_states":
            oracle.on_states(args[0], now)
        elif name == "admit":
            oracle.on_admit(args[0], result, now)
        elif name == "accept":
            event, (key,) = args[0], kwargs["dedup"].keys
            oracle.on_accept(result, event.id, f"{event.address} {key}", event.received_at, now)
        elif name == "claim":
            oracle.on_claim(result, self._overall, now)
        elif name == "record":
            oracle.on_entry(args[0], kwargs.get("term"), now)
        elif name == "take_orphans":
            oracle.on_taken(result, now)
        elif name == "finish" and result:
            again = kwargs.get("retry_at") is not None
            oracle.on_left(args[0], RunStatus.PENDING if again else args[1].status, again, now)
        elif name in ("requeue", "resume") and result:
            self.counts[name] += 1
            oracle.on_left(args[0], RunStatus.PENDING, True, now)
        elif name == "set_paused":
            watched = oracle.watched[args[0]]
            watched.pauses.append((now, kwargs["at"], kwargs["paused"]))

    # what happens from outside

    async def pause_automation(self, node: Node, name: str, *, paused: bool) -> None:
        await node.ledger.set_paused(
            name, paused=paused, reason=None, caller=CALLER, at=self.world.now()
        )
        node.signals.notify(FACTS)

    def edit(self) -> None:
        """Somebody saves a file."""
        name = self.random.choice(list(self.snapshot.automations))
        state = self.snapshot.automations[name]
        assert state.definition is not None
        was = state.definition.automation
        if self.random.random() < 0.5:
            now = replace(was, catch_up=self._draw_policy())
        else:
            now = replace(was, triggers=(self._draw(name).triggers[0], was.triggers[1]))
        fingerprint = schedule.fingerprint(now.crons[0].schedule)
        eras = self.oracle.watched[name].eras
        if fingerprint in eras and fingerprint != list(eras)[-1]:
            return
        self.counts["edits"] += 1
        self.put({name: now})
        for node in self.living():
            delay = self.random.expovariate(10)
            self.loop.call_later(delay, node.shelf.put, self.snapshot)

    # time

    def turn(self, length: timedelta) -> None:
        self.world.turn(length)
        self.turns.append((self.world.elapsed, self.world.turned))

    def late(self, name: str) -> list[str]:
        """Slots that were ruled on later than a node that was well allows."""
        watched = self.oracle.watched[name]
        found: list[str] = []
        begun = {
            slot: era.began_at(slot)
            for era in watched.eras.values()
            if era.counted_from
            for slot in era.slots.between(era.counted_from, era.ended or self.world.highest)
        }
        for slot, ruled in watched.covered.items():
            limit = self._limit(slot, begun.get(slot, float("inf")))
            if ruled > limit:
                found.append(f"{name} {slot}: ruled on at {ruled:.2f}s, not by {limit:.2f}s")
        return found

    def _limit(self, slot: datetime, since: float = 0.0) -> float:
        """When a node that was well all the time, under a clock that showed the slot, must
        have ruled on it, if its schedule was known `since` then."""
        limits = [float("inf")]
        for number, (turned_at, turned) in enumerate(self.turns):
            until = self.turns[number + 1][0] if number + 1 < len(self.turns) else float("inf")
            shown = max((slot - self.start - turned) / timedelta(seconds=1) / RATE, turned_at)
            for begin, end in self.well:
                limit = max(shown, begin, since) + TICK_SECONDS + GRACE_SECONDS
                if limit <= min(end, until):
                    limits.append(limit)
                    break
        return min(limits)

    def excusable(self, name: str, slot: datetime) -> bool:
        """Whether the schedule was changed before anybody who knew the old one could rule."""
        eras = self.oracle.watched[name].eras.values()
        ended = [era.ended_at for era in eras if era.ended and slot <= era.ended]
        return bool(ended) and self._limit(slot) > min(ended) + TICK_SECONDS + GRACE_SECONDS

    async def calm(self) -> None:
        """Everything is well again, until what was open by then has ended."""
        for place, node in enumerate(self.nodes):
            if node is None:
                await self.raise_node(place)
            else:
                node.machine.proceed()
                node.cut = False
                node.shelf.put(self.snapshot)
                self.recovered(node)
        await asyncio.sleep(SETTLE_SECONDS)
        self.owed = frozenset(run.run_id for run in await self._open_runs())
        for _ in range(int(OVER_SECONDS / _LOOK_SECONDS)):
            if not await self.stuck():
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def recovered(self, node: Node) -> None:
        """The node may rule again, if it was up."""
        if node.live:
            self._judge_well(node)

    def disturbed(self, node: Node) -> None:
        """The node may not rule for a while."""
        self._unwell(node)

    async def rows(self) -> list[Run]:
        node = self.living()[0]
        return await node.ledger.list_runs(RunFilter(limit=100_000))

    async def stuck(self) -> list[Run]:
        """Runs that should have ended by now. The same ones at each look: judged by its age, a
        run that is at its last try grows too old between two looks."""
        return [run for run in await self._open_runs() if run.run_id in self.owed]

    async def _open_runs(self) -> list[Run]:
        return [run for run in await self.rows() if run.status in OPEN]


class _Wall:
    """The wall clock as a ledger reads it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> Any:
        return self._world.now()

    def monotonic(self) -> float:
        return self._world.elapsed
