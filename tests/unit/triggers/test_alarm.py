"""The library that wakes the scheduler, on its own clock."""

import asyncio
from datetime import UTC, datetime, timedelta

from amodal_rt.triggers.alarm import SchedulerAlarm


async def test_it_rings_at_the_instant_that_was_set_last():
    alarm = SchedulerAlarm()
    try:
        began = datetime.now(UTC)
        alarm.set(began + timedelta(hours=1))
        alarm.set(began + timedelta(milliseconds=80))

        await asyncio.wait_for(alarm.wait(), 5)

        assert datetime.now(UTC) >= began + timedelta(milliseconds=80)
    finally:
        alarm.close()


async def test_an_instant_in_the_past_rings_at_once():
    """A slot that fell due while the last ones were written down must not be dropped."""
    alarm = SchedulerAlarm()
    try:
        alarm.set(datetime.now(UTC) - timedelta(days=3))

        await asyncio.wait_for(alarm.wait(), 5)
    finally:
        alarm.close()


async def test_never_is_never():
    alarm = SchedulerAlarm()
    try:
        alarm.set(datetime.now(UTC) + timedelta(milliseconds=30))
        alarm.set(None)
        waiting = asyncio.create_task(alarm.wait())

        done, _ = await asyncio.wait([waiting], timeout=0.2)

        assert not done
        waiting.cancel()
    finally:
        alarm.close()
