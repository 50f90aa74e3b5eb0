"""From a seed to what went wrong in it."""

import asyncio
import gc
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from sim_nemesis import Nemesis
from sim_node import owning_tasks
from sim_time import VirtualLoop
from sim_world import RATE, Scene, Simulation

from amodal_rt.domain.delivery import MessageKind
from amodal_rt.domain.run import OPEN, RunStatus
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.testing.ledger import MemoryLedger, MemoryStore

logging.getLogger("amodal_rt").addHandler(logging.NullHandler())
logging.getLogger("amodal_rt").propagate = False
logging.getLogger("amodal_rt").setLevel(logging.CRITICAL)


@dataclass
class Report:
    """How one seed went."""

    seed: int
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)


def live_in_memory(seed: int, days: int = 30) -> Report:
    """One seed on up to three nodes over a ledger in memory."""
    loop = VirtualLoop()
    store: list[MemoryStore] = []

    async def open_ledger(clock: Any, ids: Any) -> MemoryLedger:
        return MemoryLedger(store[0], clock=clock, ids=ids)

    async def close_ledger(_: Any) -> None:
        return None

    scene = Scene(seed, days, 3, open_ledger, close_ledger)
    simulation = Simulation(loop, scene)
    nodes = Random(seed).choices((1, 2, 3), (4, 3, 3))[0]
    store.append(MemoryStore(simulation.lease_clock, sole=nodes == 1))
    return run(loop, simulation, nodes)


def live_on_sqlite(seed: int, folder: Path, days: int) -> Report:
    """One seed on one node over a real SQLite ledger, which is opened again after each kill."""
    loop = VirtualLoop()

    async def open_ledger(clock: Any, ids: Any) -> SqliteLedger:
        ledger = SqliteLedger(folder / "ledger.db", clock=clock, ids=ids)
        await _answered(loop, ledger.open())
        return ledger

    async def close_ledger(ledger: Any) -> None:
        await _answered(loop, ledger.close())

    scene = Scene(seed, days, 1, open_ledger, close_ledger, threaded=True)
    return run(loop, Simulation(loop, scene), 1)


async def _answered(loop: VirtualLoop, asked: Coroutine[Any, Any, None]) -> None:
    """What a thread answers takes no virtual time."""
    loop.busy += 1
    try:
        await asked
    finally:
        loop.busy -= 1


def run(loop: VirtualLoop, simulation: Simulation, nodes: int) -> Report:
    """Live through the scene with so many nodes."""
    seed = simulation.scene.seed
    loop.set_task_factory(owning_tasks)
    # Rings of dead tasks are collected between seeds: within one it costs a fifth of the time.
    gc.disable()
    unexpected: list[str] = []
    loop.set_exception_handler(lambda _, context: unexpected.append(str(context)))
    asyncio.set_event_loop(loop)
    try:
        report = loop.run_until_complete(_live(simulation, nodes))
    except Exception as error:
        report = Report(seed, [*simulation.oracle.wrong, f"the simulation broke: {error!r}"])
        raise RuntimeError(f"seed {seed}: {report.wrong}") from error
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        gc.enable()
    report.wrong += unexpected
    return report


async def _live(simulation: Simulation, nodes: int) -> Report:
    scene, oracle = simulation.scene, simulation.oracle
    simulation.nodes = [None] * nodes
    for place in range(nodes):
        await simulation.raise_node(place)
    seconds = timedelta(days=scene.days) / timedelta(seconds=1) / RATE
    await Nemesis(simulation, Random(scene.seed + 2)).rage(seconds)
    await simulation.calm()
    ruled = simulation.world.now()
    await asyncio.sleep(7)
    lost = {
        name: [slot for slot in oracle.lost(name, ruled) if not simulation.excusable(name, slot)]
        for name in oracle.watched
    }
    for name, slots in lost.items():
        if slots:
            oracle.complain(simulation.world.elapsed, f"lost of {name}: {slots[:5]}")
        oracle.wrong += simulation.late(name)
    await _check_end(simulation)
    await _recover_again(simulation)
    for node in simulation.living():
        await node.stop()
        oracle.wrong += node.wrong
        await scene.close_ledger(node.inner)
    figures = {
        "seeds": 1,
        "simulated_days": scene.days,
        "slots": oracle.slots,
        "lost_slots": sum(map(len, lost.values())),
        "doubled_slots": oracle.doubled,
        "caught_up_slots": oracle.caught_up,
        "runs": len(oracle.statuses),
        "acknowledged_events": len(oracle.acknowledged),
        **{f"nemesis_{name}": count for name, count in simulation.counts.items()},
    }
    return Report(scene.seed, oracle.wrong, figures)


async def _check_end(simulation: Simulation) -> None:
    oracle, now = simulation.oracle, simulation.world.elapsed
    rows = {run.run_id: run for run in await simulation.rows()}
    for run in await simulation.stuck():
        oracle.complain(now, f"it never ended: {run}")
    ledger = simulation.living()[0].ledger
    for event_id, runs in oracle.acknowledged.items():
        missing = [run_id for run_id in runs if run_id not in rows]
        if missing or await ledger.find_event(event_id) is None:
            oracle.complain(now, f"{event_id} was acknowledged and is not there: {missing}")
    owed = await ledger.list_messages(limit=100_000, kind=MessageKind.RESULT)
    told = sorted(str(record.message.run_id) for record in owed)
    done = sorted(run.run_id for run in rows.values() if run.status is RunStatus.COMPLETED)
    if told != done:
        oracle.complain(now, f"{len(done)} runs completed, {len(told)} messages are owed")
    for deed, times in [*simulation.deeds.written.items(), *simulation.deeds.begun.items()]:
        if times > 1:
            oracle.complain(now, f"{deed} was done {times} times")


async def _recover_again(simulation: Simulation) -> None:
    """What has recovered is not changed by recovering. Skipped rows grow with each slot."""
    ended = {status for status in RunStatus if status not in OPEN} - {RunStatus.SKIPPED}
    before = [run for run in await simulation.rows() if run.status in ended]
    again = simulation.counts["requeue"] + simulation.counts["resume"]
    for node in simulation.living():
        await node.own(node.engine.recover())
    after = {run.run_id: run for run in await simulation.rows()}
    changed = [run.run_id for run in before if after[run.run_id] != run]
    if changed or again != simulation.counts["requeue"] + simulation.counts["resume"]:
        simulation.oracle.complain(simulation.world.elapsed, f"recovered again: {changed}")
