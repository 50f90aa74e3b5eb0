"""The held clock keeps the promises of `Clock`, and passes only when it is told to."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from amodal_rt.testing.clock import FakeClock

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def test_sleepers_wake_in_the_order_of_their_instants_each_at_its_own():
    clock = FakeClock(START)
    woken: list[tuple[str, float, datetime]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic(), clock.now()))

    tasks = [asyncio.create_task(sleeper(*each)) for each in (("b", 2), ("c", 3), ("a", 1))]
    await clock.advance(2.5)
    assert woken == [
        ("a", 1, START + timedelta(seconds=1)),
        ("b", 2, START + timedelta(seconds=2)),
    ]
    await clock.advance(timedelta(seconds=1))
    await asyncio.gather(*tasks)

    assert woken[-1][0] == "c"
    assert clock.now() == START + timedelta(seconds=3.5)


async def test_who_sleeps_again_after_waking_is_woken_within_the_same_advance():
    clock = FakeClock(START)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await clock.sleep(1)
            beats += 1

    task = asyncio.create_task(beat())
    await clock.advance(10)
    task.cancel()

    assert beats == 10


async def test_a_sleep_of_nothing_yields_and_returns():
    clock = FakeClock(START)

    await clock.sleep(0)
    await clock.sleep(-1)

    assert clock.monotonic() == 0


async def test_a_cancelled_sleeper_is_not_waited_for():
    clock = FakeClock(START)
    task = asyncio.create_task(clock.sleep(1))
    await clock.settle()
    task.cancel()

    await clock.advance(2)

    assert task.cancelled()


async def test_a_deadline_cancels_the_body_after_its_seconds():
    clock = FakeClock(START)
    reached: list[str] = []

    async def body() -> None:
        async with clock.deadline(5):
            reached.append("begun")
            await clock.sleep(60)
            reached.append("too late")

    task = asyncio.create_task(body())
    await clock.advance(4.9)
    assert not task.done()
    await clock.advance(0.1)

    with pytest.raises(TimeoutError):
        await task
    assert reached == ["begun"]


@pytest.mark.parametrize("seconds", [5, None])
async def test_a_deadline_that_is_kept_does_nothing(seconds: float | None):
    clock = FakeClock(START)

    async def body() -> str:
        async with clock.deadline(seconds):
            await clock.sleep(2)
        await clock.sleep(60)
        return "kept"

    task = asyncio.create_task(body())
    await clock.advance(70)

    assert await task == "kept"


async def test_a_jump_turns_the_wall_clock_alone():
    clock = FakeClock(START)
    task = asyncio.create_task(clock.sleep(60))
    await clock.settle()

    clock.jump(timedelta(days=-1))
    await clock.settle()

    assert not task.done()
    assert clock.now() == START - timedelta(days=1)
    assert clock.monotonic() == 0
    task.cancel()


async def test_settling_waits_for_answers_from_elsewhere():
    clock = FakeClock(START)
    answers = 0

    async def elsewhere() -> None:
        nonlocal answers
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        answers += 1

    clock.settle_with(elsewhere)
    await clock.settle()

    assert answers > 0
