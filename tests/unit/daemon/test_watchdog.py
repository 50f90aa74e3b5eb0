"""A loop that stands still is noticed from outside it, and only then."""

import asyncio
import logging
import threading
import time

import pytest

from amodal_rt.clock import SystemClock
from amodal_rt.daemon import watchdog
from amodal_rt.daemon.watchdog import Watchdog, child_processes, standing


def _logged(caplog: pytest.LogCaptureFixture, event: str) -> None:
    until = time.monotonic() + 30
    while not any(each.getMessage() == event for each in caplog.records):
        assert time.monotonic() < until, event
        time.sleep(0.02)


async def _beating(dog: Watchdog) -> "asyncio.Task[None]":
    task = asyncio.create_task(dog.beat())
    await asyncio.sleep(0.01)
    return task


def _stand_still(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_standstill_is_told_with_its_place_and_ends_the_process(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "LAG_SECONDS", 0.2)
    ended = threading.Event()
    dog = Watchdog(SystemClock(), dead=1.0, end=ended.set)
    with caplog.at_level(logging.WARNING, logger="amodal_rt"), dog.watching():
        beat = await _beating(dog)
        _stand_still(2.5)
        beat.cancel()
    told = {record.getMessage(): record.__dict__["fields"] for record in caplog.records}
    assert "_stand_still" in told["daemon.loop_blocked"]["at"]
    assert told["daemon.loop_dead"]["seconds"] >= 1.0
    assert ended.is_set()


async def test_a_short_standstill_is_told_and_forgiven(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "LAG_SECONDS", 0.2)
    ended = threading.Event()
    dog = Watchdog(SystemClock(), dead=30.0, end=ended.set)
    with caplog.at_level(logging.WARNING, logger="amodal_rt"), dog.watching():
        beat = await _beating(dog)
        _stand_still(1.2)
        await asyncio.to_thread(_logged, caplog, "daemon.loop_freed")
        beat.cancel()
    assert not ended.is_set()


async def test_time_in_which_the_whole_process_stood_still_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Sleeper(SystemClock):
        """A clock that has jumped an hour ahead at each look, as after a suspended machine."""

        hours = 0

        def monotonic(self) -> float:
            self.hours += 1
            return super().monotonic() + 3600 * self.hours

    monkeypatch.setattr(watchdog, "LAG_SECONDS", 0.2)
    ended = threading.Event()
    dog = Watchdog(Sleeper(), dead=2.0, end=ended.set)
    with dog.watching():
        beat = await _beating(dog)
        await asyncio.sleep(1.5)
        beat.cancel()
    assert not ended.is_set()


async def test_child_processes_are_found() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "30", start_new_session=True)
    try:
        assert process.pid in child_processes()
    finally:
        process.kill()
        await process.wait()
    assert process.pid not in child_processes()


def test_where_a_thread_stands_is_said_without_values() -> None:
    secret = "c4n4ry-value"
    place = standing(threading.get_ident())
    assert "test_where_a_thread_stands" in place
    assert secret not in place
