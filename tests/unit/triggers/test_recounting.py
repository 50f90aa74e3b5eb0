"""A schedule that was armed while the clock was ahead."""

from datetime import timedelta

from amodal_rt.triggers.cron import TICK_SECONDS

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def minutely(make):
    return make("job", schedule="* * * * *", limits={"concurrency": 99})


async def test_it_runs_again_within_a_minute_and_no_slot_twice(desk, make):
    desk.clock.jump(HOUR)
    desk.shelf.put(minutely(make))
    async with desk.scheduling(tick_seconds=TICK_SECONDS):
        await desk.clock.advance(2 * MINUTE)
        desk.clock.jump(-HOUR)
        await desk.clock.advance(3 * MINUTE)
        said = [slot for slot, *_ in await desk.said()]
        assert said == ["09:03", "09:04", "09:05", "10:01", "10:02"]
        await desk.clock.advance(HOUR)

    runs = await desk.runs()
    assert {run.scheduled_for for run in runs} == {
        runs[0].scheduled_for + number * MINUTE for number in range(63)
    }
    assert len(runs) == 63


async def test_set_right_while_no_daemon_ran_it_counts_from_the_next_start(desk, make):
    desk.clock.jump(DAY)
    desk.shelf.put(minutely(make))
    async with desk.scheduling():
        await desk.clock.advance(2 * MINUTE)
    desk.clock.jump(-DAY)
    async with desk.scheduling():
        await desk.clock.advance(MINUTE)

    assert [slot for slot, *_ in await desk.said()] == ["09:03", "09:01", "09:02"]


async def test_what_was_skipped_as_a_stretch_is_not_ruled_on_again(desk, make):
    desk.clock.jump(DAY)
    desk.shelf.put(minutely(make))
    async with desk.scheduling(tick_seconds=TICK_SECONDS):
        desk.clock.jump(HOUR)
        await desk.clock.advance(MINUTE)
        before = await desk.said()
        desk.clock.jump(-DAY - HOUR)
        await desk.clock.advance(3 * MINUTE)

        assert await desk.said() == before


async def test_a_schedule_that_rests_for_a_stretch_counts_again_at_its_end(desk, make):
    desk.shelf.put(make("job", schedule="5 * * * *", limits={"concurrency": 99}))
    async with desk.scheduling(tick_seconds=TICK_SECONDS):
        desk.clock.jump(5 * HOUR)
        await desk.clock.advance(10 * MINUTE)
        stretch = next(each for each in await desk.runs() if each.scheduled_until)
        desk.shelf.put(make("job", schedule="30 * * * *", limits={"concurrency": 99}))
        await desk.clock.advance(MINUTE)
        desk.clock.jump(-4 * HOUR - 30 * MINUTE)
        await desk.clock.advance(4 * HOUR)

    slots = {run.scheduled_for for run in await desk.runs() if run.scheduled_for.minute == 30}
    first = stretch.scheduled_until.replace(minute=30)
    assert slots == {first, first + HOUR}


async def test_a_clock_set_back_by_seconds_counts_nothing_anew(desk, make):
    desk.shelf.put(minutely(make))
    async with desk.scheduling(tick_seconds=TICK_SECONDS):
        desk.clock.jump(timedelta(seconds=-50))
        await desk.clock.advance(MINUTE)

    assert await desk.said() == []


async def test_a_ledger_that_is_away_then_is_asked_again(desk, make):
    desk.clock.jump(DAY)
    desk.shelf.put(minutely(make))
    async with desk.scheduling(tick_seconds=TICK_SECONDS):
        desk.clock.jump(-DAY)
        desk.ledger.faults.away = True
        await desk.clock.advance(2 * TICK_SECONDS)
        desk.ledger.faults.away = False
        await desk.clock.advance(MINUTE)

    assert [slot for slot, *_ in await desk.said()] == ["09:01"]


async def test_what_was_missed_later_leaves_out_the_slots_that_ran_ahead(desk, make):
    desk.clock.jump(2 * HOUR)
    desk.shelf.put(make("job", schedule="*/30 * * * *", catchUp={"policy": "none"}))
    async with desk.scheduling(tick_seconds=TICK_SECONDS):
        await desk.clock.advance(HOUR)
        ahead = [slot for slot, *_ in await desk.said()]
        desk.clock.jump(-3 * HOUR)
        await desk.clock.advance(MINUTE)
    desk.clock.jump(4 * HOUR)
    async with desk.scheduling(tick_seconds=TICK_SECONDS):
        await desk.clock.advance(MINUTE)

    runs = sorted(await desk.runs(), key=lambda run: run.scheduled_for)
    covered = [run.scheduled_for + number * HOUR / 2 for run in runs for number in range(run.count)]
    assert len(ahead) == 2
    assert len(covered) == len(set(covered)) == 8
    assert covered[-1] - covered[0] == 7 * HOUR / 2


async def test_so_it_does_beside_a_schedule_that_was_ruled_on_less_lately(desk, make):
    none = {"policy": "none"}
    desk.clock.jump(2 * HOUR)
    desk.shelf.put(make("job", schedule="*/30 * * * *", catchUp=none))
    desk.shelf.put(make("rare", schedule="45 */2 * * *", catchUp=none))
    async with desk.scheduling(tick_seconds=TICK_SECONDS):
        await desk.clock.advance(HOUR)
        desk.clock.jump(-3 * HOUR)
        await desk.pause("job")
        await desk.clock.advance(HOUR + MINUTE)
        await desk.pause("job", paused=False)
        desk.clock.jump(4 * HOUR)
        await desk.clock.advance(MINUTE)

    assert await desk.said() == [
        ("09:30", "paused", "cron", 2),
        ("10:30", "missed", "cron", 2),
        ("11:30", "cancelled", "cron", 1),
        ("12:00", "cancelled", "cron", 1),
        ("12:30", "missed", "cron", 4),
    ]
