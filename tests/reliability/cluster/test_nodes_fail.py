"""Nodes that die, stand still or are cut off, while webhooks keep coming."""

import asyncio
import signal
import time

from figures import Figures
from loads import under_load
from scale import scaled
from town import Town

TAKEN_OVER = 10.0
KILLS = scaled(ci=3, full=10, soak=200)
PAUSES = scaled(ci=2, full=5, soak=50)
PAUSE_SECONDS = scaled(ci=20.0, full=60.0, soak=60.0)
CUTS = scaled(ci=1, full=3, soak=50)
CUT_SECONDS = scaled(ci=15.0, full=30.0, soak=60.0)


async def test_another_node_carries_on_when_one_is_killed(town: Town, figures: Figures) -> None:
    figures.add("nodes_killed", 0)
    async with under_load(town, figures):
        for _ in range(KILLS):
            node = town.rng.choice(town.nodes)
            node_id, since = await town.carried_by(node), time.monotonic()
            node.send(signal.SIGKILL)
            await node.gone()
            seconds = await town.taken_over(node_id, since)
            figures.add("nodes_killed")
            figures.note("takeover_seconds", round(seconds, 1))
            assert seconds <= TAKEN_OVER
            node.start()
            await town.ready(node)


async def test_nothing_of_a_node_that_stood_still_is_written(town: Town, figures: Figures) -> None:
    figures.add("nodes_paused", 0)
    async with under_load(town, figures):
        for _ in range(PAUSES):
            node = town.rng.choice(town.nodes)
            node_id, since = await town.carried_by(node), time.monotonic()
            node.send(signal.SIGSTOP)
            try:
                seconds = await town.taken_over(node_id, since)
                figures.note("takeover_seconds", round(seconds, 1))
                assert seconds <= TAKEN_OVER
                await asyncio.sleep(max(0.0, PAUSE_SECONDS - seconds))
            finally:
                node.send(signal.SIGCONT)
            figures.add("nodes_paused")
            await town.ready(node)


async def test_nothing_of_a_node_that_is_cut_off_is_written(town: Town, figures: Figures) -> None:
    figures.add("nodes_cut", 0)
    async with under_load(town, figures):
        for _ in range(CUTS):
            node = town.rng.choice(town.nodes)
            node_id, since = await town.carried_by(node), time.monotonic()
            node.machine.cut()
            try:
                seconds = await town.taken_over(node_id, since)
                figures.note("takeover_seconds", round(seconds, 1))
                assert seconds <= TAKEN_OVER
                await asyncio.sleep(max(0.0, CUT_SECONDS - seconds))
            finally:
                node.machine.mend()
            figures.add("nodes_cut")
            await town.ready(node)


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
