"""Slots of a schedule that was changed, or lost its file, while no daemon ran."""

from datetime import timedelta

from amodal_rt.ports import RunFilter
from amodal_rt.triggers.given_up import CHANGED, DELETED

HALF_HOURLY = "*/30 * * * *"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


async def down(desk, make, length: timedelta = 2 * HOUR, **keys: object) -> str:
    """A daemon that ran the half-hourly job until 09:01, and was down since; its version."""
    made = make("job", schedule=HALF_HOURLY, **keys)
    desk.shelf.put(made)
    async with desk.scheduling():
        await desk.clock.advance(MINUTE)
    await desk.clock.advance(length)
    return made.hash


async def up(desk, length: timedelta = MINUTE) -> None:
    async with desk.scheduling():
        await desk.clock.advance(length)


async def test_slots_of_a_schedule_that_was_changed_meanwhile_are_missed(desk, make):
    hash = await down(desk, make)
    desk.shelf.put(make("job", schedule="45 * * * *"))
    await up(desk, HOUR)

    assert await desk.said() == [("09:30", "missed", "cron", 4), ("11:45", "pending", "cron", 1)]
    (row, _) = await desk.runs()
    assert (row.rule, row.definition) == (CHANGED, hash)


async def test_slots_of_a_file_that_is_gone_are_missed(desk, make):
    hash = await down(desk, make)
    desk.shelf.take("job")
    await up(desk)

    assert await desk.said() == [("09:30", "missed", "cron", 4)]
    (row,) = await desk.runs()
    assert (row.rule, row.definition) == (DELETED, hash)
    assert await desk.ledger.schedule_states() == []


async def test_they_are_on_record_once_however_often_it_starts(desk, make):
    await down(desk, make)
    desk.shelf.put(make("job", schedule="45 * * * *"))
    await up(desk)
    desk.shelf.put(make("job", schedule="50 4 * * *"))
    await up(desk)
    desk.shelf.take("job")
    await up(desk)

    assert await desk.said() == [("09:30", "missed", "cron", 4)]


async def test_what_was_paused_stays_so(desk, make):
    await down(desk, make, status="paused")
    desk.shelf.take("job")
    await up(desk)

    assert [what for _, what, _, _ in await desk.said()] == ["paused"]


async def test_a_change_that_the_daemon_sees_loses_nothing_and_adds_nothing(desk, make):
    desk.shelf.put(make("job", schedule=HALF_HOURLY))
    async with desk.scheduling():
        await desk.clock.advance(31 * MINUTE)
        desk.shelf.put(make("job", schedule="45 * * * *"))
        await desk.clock.advance(HOUR)
        desk.shelf.take("job")
        await desk.clock.advance(HOUR)

    assert await desk.said() == [("09:30", "pending", "cron", 1), ("09:45", "pending", "cron", 1)]


async def test_a_slot_that_another_schedule_took_hides_none_that_follow(desk, make):
    every = [{"type": "cron", "schedule": each} for each in ("30 9 * * *", HALF_HOURLY)]
    desk.shelf.put(make("job", triggers=every))
    async with desk.scheduling():
        await desk.clock.advance(MINUTE)
    await desk.clock.advance(2 * HOUR)
    desk.shelf.take("job")
    await up(desk)

    found = await desk.ledger.list_runs(RunFilter(automation="job", limit=10))
    assert sum(run.count for run in found) == 4
    assert {run.reason for run in found} == {"missed"}
