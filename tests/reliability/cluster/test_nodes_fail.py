"""Nodes that die, stand still or are cut off, while webhooks keep coming."""

import asyncio
import signal
import time

from figures import Figures
from loads import under_load
from scale import scaled
from town import Node, Town

TAKEN_OVER = 10.0
"""Seconds after which another carries on, at the latest."""
KILLS = scaled(ci=3, full=10, soak=200)
PAUSES = scaled(ci=2, full=5, soak=50)
PAUSE_SECONDS = scaled(ci=20.0, full=60.0, soak=60.0)
CUTS = scaled(ci=1, full=3, soak=50)
CUT_SECONDS = scaled(ci=15.0, full=30.0, soak=60.0)


async def test_others_carry_on_and_nothing_of_a_node_that_was_given_up_is_written(
    town: Town, figures: Figures
) -> None:
    """Two of three nodes fail over and over, each in its own way and often at once."""
    dying, stalling, _ = town.nodes
    async with under_load(town, figures), asyncio.TaskGroup() as tasks:
        tasks.create_task(_die(town, dying, figures))
        tasks.create_task(_stall(town, stalling, figures))


async def test_a_rolling_restart_loses_nothing(town: Town, figures: Figures) -> None:
    async with under_load(town, figures):
        for node in town.nodes:
            await town.carried_by(node)
            node.send(signal.SIGTERM)
            assert await node.gone() == 0
            node.start()
            await town.ready(node)
            figures.add("nodes_restarted")

    failed = await town.database.rows("SELECT id, reason FROM runs WHERE status <> 'completed'")
    assert failed == []


async def _die(town: Town, node: Node, figures: Figures) -> None:
    figures.add("nodes_killed", 0)
    for _ in range(KILLS):
        node_id, since = await town.carried_by(node), time.monotonic()
        node.send(signal.SIGKILL)
        await node.gone()
        await _taken_over(town, node_id, since, figures)
        figures.add("nodes_killed")
        node.start()
        await town.ready(node)


async def _stall(town: Town, node: Node, figures: Figures) -> None:
    for name in ("nodes_paused", "nodes_cut"):
        figures.add(name, 0)
    fates = ["pause"] * PAUSES + ["cut"] * CUTS
    town.rng.shuffle(fates)
    for fate in fates:
        node_id, since = await town.carried_by(node), time.monotonic()
        if fate == "pause":
            node.send(signal.SIGSTOP)
        else:
            node.machine.cut()
        try:
            seconds = await _taken_over(town, node_id, since, figures)
            length = PAUSE_SECONDS if fate == "pause" else CUT_SECONDS
            await asyncio.sleep(max(0.0, length - seconds))
        finally:
            if fate == "pause":
                node.send(signal.SIGCONT)
            else:
                node.machine.mend()
        figures.add("nodes_paused" if fate == "pause" else "nodes_cut")
        await town.ready(node)


async def _taken_over(town: Town, node_id: str, since: float, figures: Figures) -> float:
    seconds = await town.taken_over(node_id, since)
    figures.note("takeover_seconds", round(seconds, 1))
    assert seconds <= TAKEN_OVER, f"{node_id} was taken over after {seconds:.1f} s"
    return seconds
