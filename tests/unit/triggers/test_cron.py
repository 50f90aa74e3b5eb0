"""Every due slot becomes one row, whatever happens to the daemon and to the clock."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from amodal_rt.errors import UnavailableError
from amodal_rt.ports import Caller, RunFilter
from amodal_rt.triggers.cron import TICK_SECONDS

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOURLY = "0 * * * *"
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
STEP = timedelta(minutes=30)


async def let_pass(desk, length: timedelta) -> None:
    await desk.clock.advance(length)


async def test_a_due_slot_becomes_a_run_at_its_time(desk, make):
    desk.shelf.put(make("job", schedule=HOURLY))
    async with desk.scheduling():
        await let_pass(desk, 61 * MINUTE)

    (run,) = await desk.runs()
    assert (run.status, run.trigger, run.payload) == (
        "pending",
        "cron",
        {"scheduled_at": "2026-03-02T10:00:00Z"},
    )


async def test_a_file_saved_after_a_slot_does_not_run_it(desk, make):
    """Saved at 09:05, the 09:00 is over: slots count from when the schedule was first loaded."""
    async with desk.scheduling():
        await let_pass(desk, 5 * MINUTE)
        desk.shelf.put(make("job", schedule=HOURLY))
        await let_pass(desk, MINUTE)

    assert await desk.runs() == []


async def test_each_slot_of_a_day_is_one_row(desk, make):
    desk.shelf.put(make("job", schedule="*/30 * * * *", limits={"concurrency": 100}))
    async with desk.scheduling():
        await let_pass(desk, timedelta(hours=6, minutes=1))

    said = await desk.said()
    assert [slot for slot, *_ in said] == [
        f"{hour:02}:{minute:02}" for hour in range(9, 16) for minute in (0, 30)
    ][1:13]
    assert {(what, kind) for _, what, kind, _ in said} == {("pending", "cron")}


async def test_over_its_limit_a_slot_is_skipped_with_the_rule(desk, make):
    desk.shelf.put(make("job", schedule=HOURLY, limits={"concurrency": 1}))
    async with desk.scheduling():
        await let_pass(desk, 3 * HOUR + MINUTE)

    assert await desk.said() == [
        ("10:00", "pending", "cron", 1),
        ("11:00", "concurrency_limit", "cron", 2),
    ]


async def test_while_paused_slots_are_skipped_in_one_row_and_resuming_catches_up_nothing(
    desk, make
):
    desk.shelf.put(make("job", schedule=HOURLY, limits={"concurrency": 9}))
    async with desk.scheduling():
        await desk.pause("job")
        await let_pass(desk, 3 * HOUR + MINUTE)
        await desk.pause("job", paused=False)
        await let_pass(desk, HOUR)

    assert await desk.said() == [
        ("10:00", "paused", "cron", 3),
        ("13:00", "pending", "cron", 1),
    ]


async def test_what_fell_due_before_a_resume_that_nobody_watched_is_on_record(desk, make):
    desk.shelf.put(make("job", schedule=HOURLY, limits={"concurrency": 9}))
    async with desk.scheduling():
        await desk.pause("job")
    await let_pass(desk, 2 * HOUR + MINUTE)
    await desk.pause("job", paused=False)
    await let_pass(desk, HOUR)
    async with desk.scheduling():
        await let_pass(desk, MINUTE)

    assert await desk.said() == [
        ("10:00", "paused", "cron", 2),
        ("12:00", "pending", "catch_up", 1),
    ]


async def test_a_new_schedule_text_counts_anew_and_a_new_prompt_does_not(desk, make):
    desk.shelf.put(make("job", schedule=HOURLY))
    async with desk.scheduling():
        await let_pass(desk, MINUTE)
    await let_pass(desk, HOUR)
    desk.shelf.put(make("job", schedule=HOURLY, prompt="other"))
    async with desk.scheduling():
        await let_pass(desk, MINUTE)
    assert await desk.said() == [("10:00", "pending", "catch_up", 1)]

    desk.shelf.put(make("job", schedule="5 * * * *"))
    async with desk.scheduling():
        await let_pass(desk, MINUTE)

    assert await desk.said() == [("10:00", "pending", "catch_up", 1)]


async def down_for(desk, make, length: timedelta, **keys: object) -> list:
    """The rows after the daemon was down for `length`, from 09:00:05 on."""
    desk.shelf.put(make("job", schedule=HOURLY, limits={"concurrency": 500}, **keys))
    async with desk.scheduling():
        await desk.clock.advance(5)
    await let_pass(desk, length)
    async with desk.scheduling():
        await desk.clock.advance(1)
    return await desk.said()


async def test_after_downtime_the_last_slot_runs_and_the_others_share_a_row(desk, make):
    assert await down_for(desk, make, 4 * HOUR) == [
        ("10:00", "missed", "cron", 3),
        ("13:00", "pending", "catch_up", 1),
    ]


async def test_catch_up_all_runs_each_slot_within_the_window(desk, make):
    catch_up = {"policy": "all", "within": "2h"}

    assert await down_for(desk, make, 4 * HOUR, catchUp=catch_up) == [
        ("10:00", "missed", "cron", 2),
        ("12:00", "pending", "catch_up", 1),
        ("13:00", "pending", "catch_up", 1),
    ]


async def test_catch_up_none_records_what_was_missed(desk, make):
    assert await down_for(desk, make, 4 * HOUR, catchUp={"policy": "none"}) == [
        ("10:00", "missed", "cron", 4)
    ]


async def test_slots_older_than_the_window_are_not_caught_up(desk, make):
    catch_up = {"policy": "last", "within": "30m"}
    desk.shelf.put(make("job", schedule="0 10 * * *", catchUp=catch_up))
    async with desk.scheduling():
        await desk.clock.advance(5)
    await let_pass(desk, 3 * HOUR)
    async with desk.scheduling():
        await desk.clock.advance(1)

    assert await desk.said() == [("10:00", "missed", "cron", 1)]


async def test_a_year_of_missed_minutes_is_one_row_and_one_run(desk, make):
    desk.shelf.put(make("job", schedule="* * * * *"))
    async with desk.scheduling():
        await desk.clock.advance(5)
    desk.clock.jump(timedelta(days=400))
    async with desk.scheduling():
        await desk.clock.advance(1)

    lost, caught = await desk.runs()
    assert (lost.count, lost.reason) == (400 * 24 * 60 - 1, "missed")
    assert (caught.trigger, caught.scheduled_for) == (
        "catch_up",
        desk.clock.now().replace(second=0, microsecond=0),
    )


async def test_of_too_many_slots_to_catch_up_the_newest_run_and_the_others_are_counted(desk, make):
    catch_up = {"policy": "all", "within": "20d"}
    desk.shelf.put(make("job", schedule="* * * * *", catchUp=catch_up))
    async with desk.scheduling():
        await desk.clock.advance(5)
    desk.clock.jump(timedelta(days=10))
    async with desk.scheduling():
        await desk.clock.advance(1)

    lost, *caught = sorted(
        await desk.ledger.list_runs(RunFilter(limit=20_000)), key=lambda each: each.scheduled_for
    )
    assert (lost.reason, lost.count, len(caught)) == ("missed", 4_400, 10_000)
    assert caught[0].scheduled_for - lost.scheduled_until == MINUTE
    assert caught[-1].scheduled_for == desk.clock.now().replace(second=0, microsecond=0)


async def test_a_slot_that_another_schedule_took_hides_none_that_follow(desk, make):
    """Both are due at 10:00; while the daemon is down, the second alone at 11:00 and 12:00."""
    schedules = [{"type": "cron", "schedule": each} for each in ("0 10 * * *", HOURLY)]
    desk.shelf.put(make("job", triggers=schedules, limits={"concurrency": 9}))
    async with desk.scheduling():
        await let_pass(desk, HOUR + MINUTE)
    await let_pass(desk, 3 * HOUR)
    async with desk.scheduling():
        await let_pass(desk, MINUTE)

    assert await desk.said() == [
        ("10:00", "pending", "cron", 1),
        ("11:00", "missed", "cron", 2),
        ("13:00", "pending", "catch_up", 1),
    ]


async def test_what_a_killed_daemon_had_armed_counts_for_the_next(desk, make):
    """It had said that it was ready, and had not looked at a schedule since."""
    desk.shelf.put(make("job", schedule=HOURLY))
    await desk.scheduler().arm()
    await desk.clock.advance(HOUR + MINUTE)
    async with desk.scheduling():
        await let_pass(desk, MINUTE)

    assert await desk.said() == [("10:00", "pending", "catch_up", 1)]


async def test_a_restart_repeats_nothing(desk, make):
    desk.shelf.put(make("job", schedule=HOURLY))
    for _ in range(4):
        async with desk.scheduling():
            await let_pass(desk, 20 * MINUTE)

    assert await desk.said() == [("10:00", "pending", "cron", 1)]


async def test_a_clock_turned_back_repeats_nothing(desk, make):
    desk.shelf.put(make("job", schedule=HOURLY, limits={"concurrency": 99}))
    async with desk.scheduling():
        await let_pass(desk, 61 * MINUTE)
        desk.clock.jump(-2 * HOUR)
        await let_pass(desk, 3 * HOUR)

    assert [slot for slot, *_ in await desk.said()] == ["10:00", "11:00"]


async def test_a_clock_turned_forward_is_noticed_within_seconds(desk, make):
    """A suspended machine wakes like this: the slots it slept through were missed."""
    desk.shelf.put(make("job", schedule=HOURLY))
    async with desk.scheduling(tick_seconds=TICK_SECONDS):
        desk.clock.jump(3 * HOUR + 2 * MINUTE)
        await desk.clock.advance(6)

    assert await desk.said() == [
        ("10:00", "missed", "cron", 2),
        ("12:00", "pending", "catch_up", 1),
    ]


async def test_a_deleted_file_counts_anew_when_it_comes_back(desk, make):
    desk.shelf.put(make("job", schedule=HOURLY))
    async with desk.scheduling():
        await let_pass(desk, MINUTE)
        desk.shelf.take("job")
        await let_pass(desk, 2 * HOUR)
        desk.shelf.put(make("job", schedule=HOURLY))
        await let_pass(desk, MINUTE)

    assert await desk.runs() == []


async def test_a_draft_has_no_slots_and_counts_from_its_activation(desk, make):
    desk.shelf.put(make("job", schedule=HOURLY, status="draft"))
    async with desk.scheduling():
        await let_pass(desk, 2 * HOUR + MINUTE)
        desk.shelf.put(make("job", schedule=HOURLY))
        await let_pass(desk, HOUR)

    assert await desk.said() == [("12:00", "pending", "cron", 1)]


async def test_a_file_that_pauses_itself_skips_with_its_line(desk, make):
    desk.shelf.put(make("job", schedule=HOURLY, status="paused"))
    async with desk.scheduling():
        await let_pass(desk, HOUR + MINUTE)

    (run,) = await desk.runs()
    assert (run.reason, run.rule) == ("paused", "status paused in automations/job.json:1")


async def test_two_schedules_at_one_instant_are_one_slot(desk, make):
    triggers = [
        {"type": "cron", "schedule": "0 * * * *"},
        {"type": "cron", "schedule": "0 10 * * *"},
    ]
    desk.shelf.put(make("job", triggers=triggers))
    async with desk.scheduling():
        await let_pass(desk, HOUR + MINUTE)

    assert await desk.said() == [("10:00", "pending", "cron", 1)]


async def test_ten_thousand_schedules_due_at_one_instant_are_all_rows(desk, make):
    one = make("job", schedule=HOURLY)
    names = [f"job-{number}" for number in range(10_000)]
    desk.shelf.put(*(replace(one, automation=replace(one.automation, name=name)) for name in names))
    async with desk.scheduling():
        await desk.clock.advance(HOUR)
        for _ in range(40):
            await desk.clock.settle()

    rows = await desk.ledger.list_runs(RunFilter(limit=20_000))
    assert sorted(run.automation for run in rows) == sorted(names)


async def test_two_nodes_rule_on_each_slot_once(desk, make):
    desk.shelf.put(make("job", schedule="*/30 * * * *"))
    async with desk.scheduling(), desk.scheduling():
        await let_pass(desk, HOUR + MINUTE)

    assert [slot for slot, *_ in await desk.said()] == ["09:30", "10:00"]


async def test_a_node_that_stood_still_takes_up_behind_what_another_ruled_on(desk, make):
    """It knows the slots up to 10:00; another ruled on 11:00 and died."""
    desk.shelf.put(make("job", schedule=HOURLY, catchUp={"policy": "none"}))
    sleeper = desk.scheduler()
    await sleeper.arm()
    await desk.clock.advance(HOUR + MINUTE)
    async with desk.scheduling():
        await desk.clock.settle()
    desk.clock.jump(3 * HOUR)

    task = asyncio.create_task(sleeper.run())
    await desk.clock.settle()
    task.cancel()
    await asyncio.wait([task])

    assert sum(count for *_, count in await desk.said()) == 4
    assert (await desk.said())[0][0] == "10:00"


async def test_a_pause_that_nobody_told_of_counts_at_the_next_slot(desk, make):
    """Another node took it: its wake-up may have been lost."""
    desk.shelf.put(make("job", schedule=HOURLY))
    async with desk.scheduling():
        await desk.ledger.set_paused(
            "job",
            paused=True,
            reason=None,
            caller=Caller(actor="ada", door="cli"),
            at=desk.clock.now(),
        )
        await let_pass(desk, HOUR + MINUTE)

    assert await desk.said() == [("10:00", "paused", "cron", 1)]


async def test_a_ledger_that_is_away_is_asked_once_a_second_and_told_of_once_a_minute(
    desk, make, caplog
):
    """What is due would ring at once, again and again, and fill the disk with its lines."""
    caplog.set_level("INFO", "amodal_rt")
    desk.shelf.put(make("job", schedule=HOURLY))
    asked = []

    async def count(name: str) -> None:
        asked.append(name)
        raise UnavailableError("away", code="ledger")

    async with desk.scheduling(tick_seconds=5):
        desk.ledger.faults.before = count
        await let_pass(desk, HOUR + MINUTE)
        assert len(caplog.records) <= 5
        assert 55 <= len(asked) <= 65
        desk.ledger.faults.before = None
        await let_pass(desk, MINUTE)

    assert [slot for slot, *_ in await desk.said()] == ["10:00"]
    (over,) = [each for each in caplog.records if each.getMessage() == "schedule.resumed"]
    assert vars(over)["fields"]["times"] == len(asked)


async def test_a_ledger_that_is_away_at_the_start_does_not_end_the_scheduler(desk, make):
    desk.shelf.put(make("job", schedule=HOURLY))
    desk.ledger.faults.away = True
    async with desk.scheduling():
        desk.ledger.faults.away = False
        await let_pass(desk, HOUR + MINUTE)

    assert [slot for slot, *_ in await desk.said()] == ["10:00"]
