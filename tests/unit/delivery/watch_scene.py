"""A workspace that is watched: its files as a test sets them, over a real ledger."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from delivery_desk import HeldClock
from delivery_samples import CountingIds, definition, webhook

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.delivery.watching import Watch, WatchLedger
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.breaker import Health
from amodal_rt.domain.condition import Condition, ConditionKind, Ruling
from amodal_rt.domain.delivery import (
    Attempt,
    AttemptResult,
    MessageKind,
    OutboxMessage,
    Plan,
    Target,
)
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.run import Start
from amodal_rt.domain.schedule import fingerprint
from amodal_rt.domain.trigger import CronTrigger, Schedule, TriggerKind
from amodal_rt.domain.workspace import (
    AutomationState,
    Snapshot,
    WorkspaceAlerts,
    WorkspaceLimits,
    WorkspaceSettings,
)
from amodal_rt.ports import ScheduleState
from amodal_rt.settings import Environment
from amodal_rt.storage.sqlite import SqliteLedger

OPS = webhook("https://ops.example/in", "ops")
PAGER = webhook("https://pager.example/in", "pager")
BAD = Problem(file="automations/digest.json", code="bad_cron", message="no such month", line=3)
HOURLY = CronTrigger(key="cron:0", schedule=Schedule(cron="0 * * * *", timezone="UTC"))


class Scene:
    """A workspace, its ledger and a watch; `ports.Catalogue` for it."""

    def __init__(self, path: Path, before: "Scene | None" = None) -> None:
        self.clock = before.clock if before else HeldClock()
        self.ids = before.ids if before else CountingIds()
        self.current = before.current if before else Snapshot(version=1)
        self.ledger = SqliteLedger(path, clock=self.clock)
        self.watch = self.another_watch(self.ledger)
        if before is None:
            self.tell(OPS)

    def another_watch(self, ledger: WatchLedger) -> Watch:
        return Watch(
            ledger=ledger, catalogue=self, signals=ProcessSignals(), clock=self.clock, ids=self.ids
        )

    def snapshot(self) -> Snapshot:
        return self.current

    def environment(self) -> Environment:
        return Environment()

    def tell(self, *targets: Target, queue: int = 10_000) -> None:
        settings = WorkspaceSettings(
            alerts=WorkspaceAlerts(targets=targets), limits=WorkspaceLimits(queue=queue)
        )
        self.current = replace(self.current, settings=settings)

    def put(self, *states: AutomationState) -> None:
        self.current = replace(self.current, automations={each.name: each for each in states})

    async def look(self, seconds: float = 0) -> list[str]:
        """Let time pass, look; the new alerts as `status condition subject > target`."""
        self.clock.advance(seconds)
        before = {each.message.delivery_id for each in await self.ledger.list_messages(limit=1000)}
        await self.watch.look()
        found = await self.ledger.list_messages(limit=1000)
        return [
            f"{body['status']} {body['condition']} {body['subject']} > {each.message.target.label}"
            for each in reversed(found)
            if each.message.delivery_id not in before
            for body in [each.message.body]
        ]

    async def run(self) -> str:
        start = Start(
            run_id=self.ids.run(),
            automation="digest",
            title="Digest",
            trigger=TriggerKind.MANUAL,
            definition="0" * 64,
            created_at=self.clock.now(),
            concurrency=100,
            on_limit=OnLimit.QUEUE,
        )
        await self.ledger.admit([start])
        return start.run_id

    async def message(
        self,
        target: Target,
        kind: MessageKind = MessageKind.RESULT,
        body: Mapping[str, object] = MappingProxyType({"text": "Digest failed (timed_out)"}),
    ) -> str:
        """A message of a run of `digest`, owed now."""
        run_id, now = await self.run(), self.clock.now()
        message = OutboxMessage(
            delivery_id=self.ids.delivery(),
            run_id=run_id,
            automation="digest",
            kind=kind,
            target=target,
            body=dict(body),
            created_at=now,
            expires_at=now + timedelta(hours=24),
        )
        await self.ledger.owe("digest", lambda _: Plan((message,)))
        return message.delivery_id

    async def settle(self, delivery_id: str, result: AttemptResult, **more: Health) -> None:
        await self.ledger.claim_messages(limit=100, now=self.clock.now())
        await self.ledger.record_attempt(
            Attempt(
                delivery_id=delivery_id,
                result=result,
                at=self.clock.now(),
                error="HTTP 410 Gone",
                health=more.get("health"),
            )
        )

    async def stands(self, kind: ConditionKind, **more: Any) -> None:
        """A condition that somebody else began."""
        condition = Condition(
            key=more.pop("key", f"{kind} x"),
            kind=kind,
            since=self.clock.now(),
            subject="x",
            **more,
        )
        await self.ledger.rule_on_condition(condition.key, lambda _: Ruling(condition))


def invalid(*problems: Problem) -> AutomationState:
    return AutomationState(
        name="digest", file="automations/digest.json", definition=definition(), problems=problems
    )


async def hourly(scene: Scene, last_slot_hours: int = 0) -> None:
    """`digest` every hour, ruled on up to so many hours after the test's beginning."""
    known = definition()
    automation = replace(known.automation, triggers=(HOURLY,))
    scene.put(
        AutomationState(name="digest", file="d", definition=replace(known, automation=automation))
    )
    begin = HeldClock().now()
    await scene.ledger.set_schedule_states(
        [
            ScheduleState(
                automation="digest",
                key=HOURLY.key,
                fingerprint=fingerprint(HOURLY.schedule),
                counted_from=begin,
                last_slot=begin + timedelta(hours=last_slot_hours) if last_slot_hours else None,
            )
        ]
    )
