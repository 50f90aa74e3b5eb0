"""Down for a minute to 400 days: every slot of that time is a run or a counted skip."""

import asyncio
import hashlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from figures import Figures
from scale import scaled
from walked_calendar import HOUR, MINUTE, Walk, due, walk

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.automation import (
    AgentWork,
    Automation,
    CatchUp,
    CatchUpPolicy,
    ChatMessage,
    Definition,
    Limits,
)
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.domain.trigger import CronTrigger, Schedule
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.ids import SystemIds
from amodal_rt.ports import RunFilter
from amodal_rt.settings import Environment
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger import MemoryLedger
from amodal_rt.triggers.cron import Scheduler

DAY = 24 * HOUR
START = datetime(2026, 2, 3, 4, 5, 30, tzinfo=UTC)
DOWN = (MINUTE, 7 * MINUTE, HOUR, 5 * HOUR, 26 * HOUR, 3 * DAY, 30 * DAY, 400 * DAY)
WITHIN = (HOUR, DAY, 30 * DAY)
EXPRESSIONS = (
    "* * * * *",
    "*/15 * * * *",
    "30 2 * * *",
    "0 9 * * 1-5",
    "0 */6 * * *",
    "10,40 22 * * 6",
    "0 1 1,15 * *",
    "0 0 29 2 *",
)
ZONES = scaled(
    ci=("Europe/Berlin",),
    full=("Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "UTC"),
    soak=("Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "UTC", "Africa/Cairo"),
)
MOST_CAUGHT_UP = 10_000


class Silent:
    """An alarm that never rings: the scheduler looks once, at its start."""

    def set(self, at: datetime | None) -> None: ...

    async def wait(self) -> None:
        await asyncio.Event().wait()

    def close(self) -> None: ...


@dataclass
class Shelf:
    current: Snapshot

    def snapshot(self) -> Snapshot:
        return self.current

    def environment(self) -> Environment:
        return Environment()

    async def find_version(self, name: str, hash: str) -> Definition | None:
        return None


@cache
def walked(zone: str) -> Walk:
    return walk(ZoneInfo(zone), START.replace(second=0) - DAY, START + 401 * DAY)


@cache
def nominal(expression: str, zone: str) -> tuple[datetime, ...]:
    return tuple(each for each in due(expression, walked(zone)) if each > START)


def due_by(expression: str, zone: str, now: datetime) -> list[datetime]:
    slots = nominal(expression, zone)
    return list(slots[: bisect_right(slots, now)])


def expected(
    slots: list[datetime], now: datetime, catch_up: CatchUp
) -> tuple[list[datetime], list[datetime]]:
    """The slots that run, which are always the newest, and those that are skipped."""
    most = {CatchUpPolicy.NONE: 0, CatchUpPolicy.LAST: 1, CatchUpPolicy.ALL: MOST_CAUGHT_UP}
    young = len(slots) - bisect_left(slots, now - catch_up.within)
    first = len(slots) - min(young, most[catch_up.policy])
    return slots[first:], slots[:first]


def automation(expression: str, zone: str, catch_up: CatchUp) -> Snapshot:
    made = Automation(
        name="job",
        title="Job",
        work=AgentWork(messages=(ChatMessage("user", "x"),)),
        triggers=(CronTrigger(schedule=Schedule(cron=expression, timezone=zone), key="cron:0"),),
        limits=Limits(concurrency=10**6),
        catch_up=catch_up,
    )
    definition = Definition(
        automation=made,
        hash=hashlib.sha256(repr(made).encode()).hexdigest(),
        document="{}",
        file="automations/job.json",
    )
    state = AutomationState(name="job", file=definition.file, definition=definition)
    return Snapshot(version=1, automations={"job": state})


async def rows_after(snapshot: Snapshot, down: timedelta) -> tuple[list[Run], datetime]:
    """What the ledger holds when a daemon that was down is back."""
    clock = FakeClock(START)
    ledger = MemoryLedger(clock=clock)
    for first in (True, False):
        scheduler = Scheduler(
            catalogue=Shelf(snapshot),
            ledger=ledger,
            facts=ledger,
            signals=ProcessSignals(),
            clock=clock,
            ids=SystemIds(clock),
            alarm=Silent(),
        )
        await scheduler.arm()
        if first:
            clock.jump(down)
            continue
        task = asyncio.create_task(scheduler.run())
        await clock.settle()
        task.cancel()
        await asyncio.wait([task])
    return await ledger.list_runs(RunFilter(limit=100_000)), clock.now()


def said(rows: list[Run]) -> tuple[list[datetime], list[object]]:
    """Slots that run, and the skipped stretches."""
    made = [row.scheduled_for for row in rows if row.status is RunStatus.PENDING]
    skipped = [row for row in rows if row.status is RunStatus.SKIPPED]
    stretches: list[object] = [
        (row.reason, row.scheduled_for, row.scheduled_until, row.count) for row in skipped
    ]
    return sorted(slot for slot in made if slot), stretches


def told(skipped: list[datetime]) -> list[object]:
    """The one row that stands for all of them."""
    if not skipped:
        return []
    until = skipped[-1] if len(skipped) > 1 else None
    return [("missed", skipped[0], until, len(skipped))]


@pytest.mark.parametrize("policy", list(CatchUpPolicy))
@pytest.mark.parametrize("zone", ZONES)
async def test_a_daemon_that_was_down_leaves_no_slot_without_a_row(
    zone: str, policy: CatchUpPolicy, figures: Figures
) -> None:
    figures.add("lost_slots", 0)
    for expression in EXPRESSIONS:
        for within in WITHIN:
            catch_up = CatchUp(policy=policy, within=within)
            snapshot = automation(expression, zone, catch_up)
            for down in DOWN:
                rows, now = await rows_after(snapshot, down)
                slots = due_by(expression, zone, now)
                run, skipped = expected(slots, now, catch_up)
                assert said(rows) == (run, told(skipped)), (expression, within, down)
                figures.add("missed_slots", len(slots))
                figures.add("downtimes")
