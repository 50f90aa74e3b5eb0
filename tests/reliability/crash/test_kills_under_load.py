"""kill -9 and SIGTERM at random moments under load: nothing acknowledged is lost or doubled."""

import asyncio
import random
import signal
from collections.abc import Coroutine
from pathlib import Path

from figures import Figures
from lives import Zygote
from scale import scaled
from siege import Siege, keep_sending, send_all

SENDERS = 24
KILLS = scaled(ci=35, full=105, soak=5_000)
ACKS = scaled(ci=7_000, full=21_000, soak=1_000_000)
STOPS = scaled(ci=16, full=50, soak=500)
IDS = scaled(ci=150, full=1_000, soak=2_000)
COPIES = 20
MOST_KILLS = scaled(ci=20, full=60, soak=500)
USEFUL = 0.75
"""How many of the lives last for so many acknowledgements; the others are killed soon after they
were born, while they recover or before."""
MEAN_ACKS = ACKS / KILLS / USEFUL
MEAN_YOUNG = 0.2
"""Seconds that the others live."""
INSTANT = 0.02
"""Seconds within which the end comes, once it is to come: so that it may come at any place."""


async def _while_sending(siege: Siege, work: Coroutine[None, None, None]) -> None:
    over = asyncio.Event()
    sending = asyncio.create_task(keep_sending(siege, SENDERS, over))
    working = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({sending, working}, return_when=asyncio.FIRST_COMPLETED)
        over.set()
        for each in done:
            each.result()
        await sending
    finally:
        working.cancel()
        sending.cancel()


def _judge(siege: Siege, figures: Figures) -> None:
    lost, doubled = siege.found()
    figures.add("acks", len(siege.acks))
    figures.add("lost", len(lost))
    figures.add("doubled", len(doubled))
    assert lost == []
    assert doubled == []


async def test_no_acknowledged_webhook_is_lost_or_doubled_by_kills(
    scene: Path, zygote: Zygote, rng: random.Random, figures: Figures
) -> None:
    kills = 0
    async with Siege(scene, zygote, rng) as siege:

        async def kill() -> None:
            nonlocal kills
            while kills < KILLS or len(siege.acks) < ACKS:
                after = rng.expovariate(1 / MEAN_YOUNG)
                if rng.random() < USEFUL:
                    # In work, not in time: a slow machine has as much of it to do.
                    await siege.until_acks(round(rng.expovariate(1 / MEAN_ACKS)))
                    after = rng.random() * INSTANT
                status = await siege.fall(signal.SIGKILL, after=after)
                assert status == -signal.SIGKILL, f"it ended with {status} before it was killed"
                kills += 1

        await _while_sending(siege, kill())
        assert await siege.stop() == 0
    figures.add("kills", kills)
    figures.add("answers_503", siege.answers[503])
    _judge(siege, figures)


async def test_the_same_id_sent_by_many_at_once_is_one_event(
    scene: Path, zygote: Zygote, rng: random.Random, figures: Figures
) -> None:
    """Each id so many times on each of two endpoints, in no order, with kills in the middle."""
    ends = ("left", "right")
    wanted = [(end, f"id-{number}") for end in ends for number in range(IDS)] * COPIES
    rng.shuffle(wanted)
    kills = 0
    async with Siege(scene, zygote, rng, automations=ends) as siege:

        async def kill() -> None:
            nonlocal kills
            # Bound, as on a slow machine the senders might never come to an end.
            while kills < MOST_KILLS:
                await siege.until_acks(round(rng.expovariate(MOST_KILLS / len(wanted))))
                await siege.fall(signal.SIGKILL, after=rng.random() * INSTANT)
                kills += 1
            await sending

        sending = asyncio.create_task(send_all(siege, wanted, 64))
        killing = asyncio.create_task(kill())
        await asyncio.wait({killing, sending}, return_when=asyncio.FIRST_COMPLETED)
        if killing.done():
            killing.result()
        killing.cancel()
        await asyncio.wait({killing})
        await sending
        await siege.stop()
    figures.add("kills", kills)
    figures.add("duplicates_sent", len(wanted) - len(siege.acks))
    _judge(siege, figures)
    assert len(siege.acks) == len(siege.events) == len(ends) * IDS


async def test_a_stop_at_any_moment_is_in_order_and_loses_nothing(
    scene: Path, zygote: Zygote, rng: random.Random, figures: Figures
) -> None:
    async with Siege(scene, zygote, rng) as siege:

        async def stop() -> None:
            for _ in range(STOPS):
                await siege.until_acks(round(rng.expovariate(1 / 50)) + 1)
                status = await siege.fall(signal.SIGTERM, after=rng.random() * INSTANT)
                assert status == 0
                figures.add("stops")

        await _while_sending(siege, stop())
        assert await siege.stop() == 0
    figures.note("slowest_stop_s", round(siege.slowest_stop, 2))
    _judge(siege, figures)
    assert siege.slowest_stop <= 35
