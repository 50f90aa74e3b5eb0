"""Values for tests of ledgers: each call gives a fresh one, keywords change what matters."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.condition import Condition, ConditionKind, Ruling
from amodal_rt.domain.delivery import (
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
    Target,
    TargetType,
)
from amodal_rt.domain.event import Event
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import Run, RunStatus, Start
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.ports import Caller, Ledger, RunFilter

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CALLER = Caller(actor="ada", door="cli")

_number = itertools.count(1)


class HeldClock:
    """A clock that moves when a test moves it."""

    def __init__(self) -> None:
        self.instant = NOW

    def now(self) -> datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.instant.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.instant += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def deadline(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return nullcontext()


def fresh(prefix: str) -> str:
    return f"{prefix}_{next(_number):08}"


def event(**changed: Any) -> Event:
    plain = Event(
        id=fresh("evt"),
        type="webhook.received",
        source="/webhooks/auto_x",
        data={"n": 1},
        time=NOW,
        received_at=NOW,
    )
    return replace(plain, **changed)


def start(automation: str = "digest", **changed: Any) -> Start:
    plain = Start(
        run_id=fresh("run"),
        automation=automation,
        title=automation.title(),
        trigger=TriggerKind.MANUAL,
        definition="d" * 64,
        created_at=NOW,
        concurrency=3,
        on_limit=OnLimit.QUEUE,
    )
    return replace(plain, **changed)


def slot(at: datetime, automation: str = "digest", **changed: Any) -> Start:
    plain: dict[str, Any] = {
        "trigger": TriggerKind.CRON,
        "on_limit": OnLimit.SKIP,
        "scheduled_for": at,
        "schedule_key": "cron:0",
        "created_at": at,
    }
    return start(automation, **(plain | changed))


def outcome(status: RunStatus = RunStatus.COMPLETED, **changed: Any) -> Outcome:
    return replace(Outcome(status=status, model="stub:small"), **changed)


def message(run_id: str | None, automation: str | None = "digest", **changed: Any) -> OutboxMessage:
    plain = OutboxMessage(
        delivery_id=fresh("msg"),
        run_id=run_id,
        automation=automation,
        kind=MessageKind.RESULT,
        target=Target(type=TargetType.WEBHOOK, label="#reports", url="https://a.example/x"),
        body={"status": "success"},
        created_at=NOW,
        expires_at=NOW + DAY,
    )
    return replace(plain, **changed)


def nothing(_: FailureState) -> Plan:
    """A plan that owes nothing."""
    return Plan()


def owing(*messages: OutboxMessage, notes: tuple[str, ...] = ()) -> Callable[[FailureState], Plan]:
    return lambda _: Plan(messages, notes)


async def running(ledger: Ledger, automation: str = "digest", **changed: Any) -> Run:
    """A fresh run of `automation`, claimed."""
    wish = start(automation, **changed)
    await ledger.admit([wish])
    claimed = await ledger.claim(limit=1000, overall=1000, now=NOW)
    return next(run for run in claimed if run.run_id == wish.run_id)


async def finished(
    ledger: Ledger,
    automation: str = "digest",
    *,
    plan: Callable[[FailureState], Plan] = nothing,
    at: datetime = NOW + MINUTE,
    **changed: Any,
) -> Run:
    """A run of `automation` that has ended, by default as completed."""
    run = await running(ledger, automation)
    assert await ledger.finish(run, outcome(**changed), at=at, plan=plan)
    found = await ledger.find_run(run.run_id)
    assert found is not None
    return found


async def ids(ledger: Ledger, **wanted: Any) -> list[str]:
    """The ids of the runs that a filter keeps, as they are listed."""
    return [run.run_id for run in await ledger.list_runs(RunFilter(**wanted))]


async def status_of(ledger: Ledger, run_id: str) -> tuple[str, str | None]:
    """A run's status and the reason of it."""
    run = await ledger.find_run(run_id)
    assert run is not None
    return run.status.value, run.reason


async def owed(ledger: Ledger, *messages: OutboxMessage) -> None:
    """Commit messages outside any run's outcome."""
    for each in messages:
        assert each.automation is not None
        await ledger.owe(each.automation, owing(each))


async def owed_by_a_condition(ledger: Ledger, *messages: OutboxMessage) -> None:
    """Commit messages that no automation is the cause of."""
    condition = Condition(
        key=fresh("condition"), kind=ConditionKind.QUEUE_FULL, since=NOW, subject="the queue"
    )
    await ledger.rule_on_condition(condition.key, lambda _: Ruling(condition, messages))


async def joined(ledger: Ledger, lease: timedelta = HOUR) -> str:
    """Begin a life of a daemon on this ledger."""
    return await ledger.join(host="a.example", pid=17, version="1.2.3", lease=lease)


async def outlived(dead: Ledger, survivor: Ledger) -> None:
    """`dead` lost its lease, and `survivor` noticed."""
    assert await dead.renew(lease=timedelta(0))
    await joined(survivor)
    await survivor.retire_lapsed()
