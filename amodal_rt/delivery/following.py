"""What must follow when a message was given up: somebody hears of it."""

from collections.abc import AsyncIterator
from dataclasses import replace

from amodal_rt import failpoints
from amodal_rt.clock import Clock, iso
from amodal_rt.delivery.backoff import unheard_pause
from amodal_rt.delivery.conditions import Conditions, Sighting
from amodal_rt.delivery.planner import DeliveryPlanner
from amodal_rt.domain.condition import ConditionKind
from amodal_rt.domain.delivery import (
    DeliveryRecord,
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
)
from amodal_rt.logs import Log
from amodal_rt.ports import EVENTS, OUTBOX, Catalogue, Outbox, OwnEvents, Signals

_log = Log("delivery")
_AT_ONCE = 100
_QUOTED = 500


class Following:
    """Looks for messages that died or expired, wherever and whenever that was.

    A result owes its automation's failure alert, and the workspace hears of a dead letter. An
    alert that did not arrive is told to the workspace's targets; where none of them is left it
    is owed again, and so is what it passed on, until somebody takes it or it expires. The ledger
    lists a message until all of this is committed, so that no crash between two steps swallows
    any of it.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        catalogue: Catalogue,
        conditions: Conditions,
        planner: DeliveryPlanner,
        signals: Signals,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._catalogue = catalogue
        self._conditions = conditions
        self._planner = planner
        self._signals = signals
        self._clock = clock
        self.own: OwnEvents | None = None
        """What says on the bus that a message was given up."""

    async def look(self) -> None:
        """Follow up everything that nothing has followed yet. Raises UnavailableError."""
        while records := await self._outbox.given_up(limit=_AT_ONCE):
            for record in records:
                failpoints.hit("delivery.before_follow_up")
                sighting = _given_up(record)
                await self._conditions.begin(sighting)
                unheard = sighting.lost and await self._conditions.is_unheard(sighting.key)
                if not (unheard and await self._owe_again(record)):
                    await self._answer(record)
                failpoints.hit("delivery.after_follow_up")

    async def _owe_again(self, record: DeliveryRecord) -> bool:
        """False for one that has expired: nothing more can be done for it."""
        owed = await self._owe_one_again(record)
        async for before in passed_on(self._outbox, record):
            await self._owe_one_again(before)
        return owed

    async def _owe_one_again(self, record: DeliveryRecord) -> bool:
        at = self._clock.now() + unheard_pause(record.tries)
        delivery_id = record.message.delivery_id
        owed = await self._outbox.owe_again(delivery_id, at=at)
        if owed:
            label = record.message.target.label
            _log.warning("delivery.unheard", delivery=delivery_id, target=label, next=iso(at))
        return owed

    async def _answer(self, record: DeliveryRecord) -> None:
        message, error, now = record.message, record.last_error or "", self._clock.now()
        state = self._catalogue.snapshot().automations.get(message.automation or "")
        definition = state.definition if state else None
        is_result = message.kind is MessageKind.RESULT
        events = await self.own.dead(record) if self.own else ()

        def plan(failures: FailureState) -> Plan:
            if definition is None or not is_result:
                return Plan(events=events)
            made = self._planner.plan_dead_letter(message, error, definition, failures, now)
            return replace(made, events=events)

        owed = await self._outbox.follow_up(message.delivery_id, plan)
        if owed.messages:
            self._signals.notify(OUTBOX)
        if owed.events:
            self._signals.notify(EVENTS)


def _given_up(record: DeliveryRecord) -> Sighting:
    message = record.message
    lost = None if message.kind is MessageKind.RESULT else message.delivery_id
    return replace(sighting_of(record), lost=lost)


def sighting_of(record: DeliveryRecord) -> Sighting:
    """What a message that does not arrive says about the workspace."""
    message, error = record.message, record.last_error or "no answer"
    if message.kind is MessageKind.RESULT:
        return Sighting(
            kind=ConditionKind.DEAD_LETTER,
            about=f"{message.automation} {message.target.key}",
            subject=f"{message.automation} to {message.target.label}",
            automation=message.automation,
            detail=f"{message.delivery_id}: {error}",
            target=message.target.key,
            since=record.finished_at,
            delivery_id=message.delivery_id,
        )
    return Sighting(
        kind=ConditionKind.ALERT_FAILED,
        about=f"{message.target.key} {message.automation or '-'}",
        subject=message.target.label,
        automation=message.automation,
        detail=f"{message.delivery_id}: {error}{_quoted(message)}",
        target=message.target.key,
        since=record.finished_at,
        delivery_id=message.delivery_id,
    )


async def passed_on(outbox: Outbox, record: DeliveryRecord) -> AsyncIterator[DeliveryRecord]:
    """The alerts that this one passes on because they did not arrive, the newest first."""
    seen = {record.message.delivery_id}
    while record.message.body.get("condition") == ConditionKind.ALERT_FAILED.value:
        before = str(record.message.body.get("delivery_id") or "")
        found = None if before in seen else await outbox.find_message(before)
        if found is None:
            return
        seen.add(before)
        record = found
        yield record


def _quoted(message: OutboxMessage) -> str:
    """What nobody read: the alert that failed is passed on with the news of its failure."""
    said = str(message.body.get("text") or "")
    return f". It said: {said[:_QUOTED]}" if said else ""
