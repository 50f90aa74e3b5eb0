"""The database under all nodes goes away and comes back, in every way."""

import asyncio

import pytest
from figures import Figures
from loads import under_load
from scale import scaled
from town import Town, until

RESTARTS = scaled(
    ci=(("kill", 8.0), ("immediate", 0.0)),
    full=(("kill", 20.0), ("immediate", 0.0), ("fast", 8.0), ("kill", 0.0), ("immediate", 60.0)),
    soak=(("kill", 20.0), ("immediate", 0.0), ("fast", 8.0), ("kill", 0.0)) * 20,
)
"""How it ends, and for how many seconds it stays away: more than a lease lasts, or none."""
SILENCES: tuple[float, ...] = scaled(ci=(), full=(8.0,), soak=(8.0, 30.0) * 10)
"""For how long it holds its connections and says nothing."""


async def test_a_database_that_comes_back_finds_all_as_promised(
    town: Town, figures: Figures
) -> None:
    figures.add("database_restarts", 0)
    async with under_load(town, figures):
        for how, seconds in RESTARTS:
            if how == "kill":
                await asyncio.to_thread(town.database.kill)
            else:
                await asyncio.to_thread(town.database.stop, how)
            await _stay_away(town, seconds)
            await asyncio.to_thread(town.database.start)
            await _is_back(town)
            figures.add("database_restarts")


@pytest.mark.skipif(not SILENCES, reason="only at full scale: AMODAL_RT_RELIABILITY=full")
async def test_a_database_that_falls_silent_keeps_nobody_waiting(
    town: Town, figures: Figures
) -> None:
    figures.add("database_silences", 0)
    async with under_load(town, figures):
        for seconds in SILENCES:
            await asyncio.to_thread(town.database.pause)
            try:
                await _stay_away(town, seconds)
            finally:
                # Else whoever has asked it would wait for an answer for ever.
                await asyncio.to_thread(town.database.resume)
            await _is_back(town)
            figures.add("database_silences")


async def _stay_away(town: Town, seconds: float) -> None:
    """While it is away, whoever asks is told to come back."""
    before = town.answers[503]

    async def refused() -> bool:
        return town.answers[503] > before

    if seconds:
        await until(refused, "a webhook is answered 503")
        await asyncio.sleep(seconds)


async def _is_back(town: Town) -> None:
    since = len(town.acks)

    async def accepted() -> bool:
        return len(town.acks) > since + 3

    await until(accepted, "webhooks are accepted again")
    for node in town.nodes:
        await town.ready(node)
