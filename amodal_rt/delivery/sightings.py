"""What is wrong with the workspace now, as its files and its ledger show it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.delivery.conditions import Sighting
from amodal_rt.delivery.following import passed_on, sighting_of
from amodal_rt.domain.breaker import Breaker, BreakerState
from amodal_rt.domain.condition import Condition, ConditionKind
from amodal_rt.domain.delivery import DeliveryRecord, DeliveryStatus, MessageKind
from amodal_rt.domain.workspace import WORKSPACE_MISSING, Snapshot
from amodal_rt.ports import ConditionLedger, Outbox

INVALID_SECONDS = 60.0
"""A file is half written, being mended or not mounted yet for so long before anybody hears."""
LATE_ALERT = timedelta(minutes=10)
"""An alert that has not arrived by then has failed, though it is tried on."""
_ALERTS = tuple(kind for kind in MessageKind if kind is not MessageKind.RESULT)
_MOST_LATE = 100
_ROOM = 0.9


class QueueLedger(ConditionLedger, Outbox, Protocol):
    """What tells how full the queue is, and what waits to be sent."""


class BadFiles:
    """Files that are invalid or gone, and since when this process has seen them so."""

    def __init__(self, clock: Clock, node: str | None = None) -> None:
        self._clock = clock
        self.node = node
        self._since: dict[tuple[ConditionKind, str], tuple[float, datetime]] = {}

    def look(self, snapshot: Snapshot) -> tuple[set[str], list[Sighting]]:
        """The keys of all that is wrong, and a sighting of what has been for over a minute."""
        elapsed, now = self._clock.monotonic(), self._clock.now()
        keys: set[str] = set()
        ripe: list[Sighting] = []
        before, self._since = self._since, {}
        for kind, file, automation, detail in _wrong(snapshot):
            since = self._since.setdefault((kind, file), before.get((kind, file), (elapsed, now)))
            sighting = Sighting(
                kind=kind,
                about=file,
                subject=file,
                automation=automation,
                detail=detail,
                since=since[1],
                seen_by=self.node,
            )
            if sighting.key not in keys and elapsed - since[0] >= INVALID_SECONDS:
                ripe.append(sighting)
            keys.add(sighting.key)
        # A file that was invalid is not mended by being gone.
        gone = [each.file for each in snapshot.automations.values() if each.gone]
        return keys | {f"{ConditionKind.FILE_INVALID} {file}" for file in gone}, ripe


def _wrong(snapshot: Snapshot) -> Iterator[tuple[ConditionKind, str, str | None, str]]:
    for name, state in snapshot.automations.items():
        # Of a folder that is gone is told once, not for each file that was in it.
        if state.invalid and not state.gone:
            errors = [each for each in state.problems if each.severity == "error"]
            first = next(iter((*errors, *state.blocked, *state.problems)), None)
            said = first.sentence() if first else "it cannot run"
            yield ConditionKind.FILE_INVALID, state.file, name, said
    for problem in snapshot.problems:
        if problem.severity == "error":
            missing = problem.code == WORKSPACE_MISSING
            kind = ConditionKind.WORKSPACE_MISSING if missing else ConditionKind.FILE_INVALID
            yield kind, problem.file, None, problem.sentence()


async def full_queue(ledger: QueueLedger, snapshot: Snapshot, *, refused: bool) -> list[Sighting]:
    """Whether runs wait up to the limit; `refused` says that an event just was, because of it."""
    limit = snapshot.settings.limits.queue
    if not refused and await ledger.count_pending() < limit:
        return []
    return [
        Sighting(
            kind=ConditionKind.QUEUE_FULL,
            about="runs",
            subject="The queue",
            detail=f"{limit} runs wait, which is limits.queue",
        )
    ]


async def has_room(ledger: QueueLedger, snapshot: Snapshot) -> bool:
    """Whether it has been full: a place or two more would be full again at once."""
    return await ledger.count_pending() < _ROOM * snapshot.settings.limits.queue


def disabled_targets(breakers: list[Breaker]) -> list[Sighting]:
    """Targets to which nothing is sent any more."""
    return [
        Sighting(
            kind=ConditionKind.TARGET_DISABLED,
            about=each.target,
            subject=each.label,
            detail=f"{each.error or 'it failed for days'}. Mend it, then: "
            f"ops deliveries retry --since 24h --target '{each.label}'",
            target=each.target,
            since=each.changed_at,
        )
        for each in breakers
        if each.state is BreakerState.DISABLED
    ]


async def late_alerts(ledger: QueueLedger, now: datetime) -> list[Sighting]:
    """Alerts that are still on their way after ten minutes."""
    found: dict[str, Sighting] = {}
    for record in await _owed_alerts(ledger, DeliveryStatus.PENDING):
        # Of one that a clock ahead has dated nobody knows the age: it is told of sooner.
        if abs(now - record.message.created_at) >= LATE_ALERT:
            sighting = sighting_of(record)
            found[sighting.key] = sighting
    return list(found.values())


async def still_owed(ledger: Outbox, condition: Condition) -> list[DeliveryRecord]:
    """The alerts that the condition is about and that may still arrive."""
    owed = await _owed_alerts(ledger, DeliveryStatus.PENDING, DeliveryStatus.SENDING)
    return [each for each in owed if sighting_of(each).key == condition.key]


async def was_told(ledger: Outbox, condition: Condition) -> bool:
    """Whether what nobody could be told has arrived all the same, where it was lost first."""

    async def arrived(record: DeliveryRecord) -> bool:
        before = [each.status async for each in passed_on(ledger, record)]
        return DeliveryStatus.DELIVERED in before

    owed = await still_owed(ledger, condition)
    return bool(owed) and all([await arrived(each) for each in owed])


async def _owed_alerts(ledger: Outbox, *statuses: DeliveryStatus) -> list[DeliveryRecord]:
    return [
        record
        for kind in _ALERTS
        for status in statuses
        for record in await ledger.list_messages(limit=_MOST_LATE, status=status, kind=kind)
    ]


def sighting_again(condition: Condition) -> Sighting:
    """A condition that stands, as it was seen first."""
    return Sighting(
        kind=condition.kind,
        about=condition.key.removeprefix(f"{condition.kind} "),
        subject=condition.subject,
        automation=condition.automation,
        detail=condition.detail,
        target=condition.target,
        seen_by=condition.seen_by,
        delivery_id=condition.delivery_id,
    )
