"""Starts that were made before their instant, and what may change until then."""

from dataclasses import replace
from datetime import timedelta

from amodal_rt.ports import RunFilter
from amodal_rt.triggers.readying import LEAD, MANY

SECOND = timedelta(seconds=1)


def crowd(make, count=MANY + 100):
    one = make("job", schedule="0 10 * * *")
    return [
        replace(one, automation=replace(one.automation, name=f"job-{number:03}"))
        for number in range(count)
    ]


async def test_what_changes_between_readying_and_the_instant_counts(desk, make):
    definitions = crowd(make)
    desk.shelf.put(*definitions)
    async with desk.scheduling():
        await desk.clock.advance(timedelta(hours=1) - LEAD / 2)
        assert await desk.ledger.list_runs(RunFilter(limit=10)) == []

        await desk.pause("job-001")
        changed = make("job-002", schedule="0 10 * * *", prompt="another")
        desk.shelf.put(changed)
        desk.shelf.take("job-003")
        await desk.clock.settle()
        await desk.clock.advance(LEAD)

    rows = {run.automation: run for run in await desk.ledger.list_runs(RunFilter(limit=10_000))}
    assert len(rows) == len(definitions) - 1
    assert "job-003" not in rows
    assert rows["job-001"].reason == "paused"
    assert rows["job-002"].definition == changed.hash
    others = [run for name, run in rows.items() if name not in ("job-001", "job-002")]
    assert {run.status.value for run in others} == {"pending"}
    assert {f"{run.scheduled_for:%H:%M:%S}" for run in rows.values()} == {"10:00:00"}
    assert len({run.run_id for run in rows.values()}) == len(rows)


async def test_a_clock_turned_back_after_readying_starts_nothing_early(desk, make):
    desk.shelf.put(*crowd(make))
    async with desk.scheduling(tick_seconds=5):
        await desk.clock.advance(timedelta(hours=1) - LEAD / 2)
        desk.clock.jump(-timedelta(minutes=10))
        await desk.clock.advance(timedelta(minutes=9))
        assert await desk.ledger.list_runs(RunFilter(limit=10)) == []
        await desk.clock.advance(timedelta(minutes=2))

    rows = await desk.ledger.list_runs(RunFilter(limit=10_000))
    assert len(rows) == len({run.automation for run in rows}) == MANY + 100


async def test_a_machine_that_slept_after_readying_catches_up_by_rule(desk, make):
    desk.shelf.put(*crowd(make))
    async with desk.scheduling(tick_seconds=5):
        await desk.clock.advance(timedelta(hours=1) - LEAD / 2)
        desk.clock.jump(timedelta(hours=2))
        await desk.clock.advance(10 * SECOND)

    rows = await desk.ledger.list_runs(RunFilter(limit=10_000))
    assert len(rows) == MANY + 100
    assert {run.trigger.value for run in rows} == {"catch_up"}
