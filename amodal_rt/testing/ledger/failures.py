"""The failure counter of an automation, and the messages that a plan owes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from amodal_rt.domain.delivery import (
    DeliveryRecord,
    DeliveryStatus,
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
    Told,
)
from amodal_rt.domain.event import Event
from amodal_rt.domain.run import RunStatus
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.events import stored
from amodal_rt.testing.ledger.part import Part
from amodal_rt.testing.ledger.store import EventRow, MessageRow

_KINDS = frozenset({MessageKind.FAILURE_ALERT, MessageKind.RECOVERY})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrived(Told):
    """What reached a target, and the numbers of the newest alert and recovery that did."""

    alert: int = 0
    recovery: int = 0


class FailureRows(Part):
    """What outcomes and messages share."""

    def _failure_state(self, automation: str) -> FailureState:
        """The counter as it stands, and what each target was told."""
        kept = self.store.failures.get(automation) or FailureState()
        arrived, waiting = _arrived(kept), self._waiting_news(automation)
        known = {
            target: _told(arrived.get(target, _Arrived()), waiting[target])
            for target in {**arrived, **waiting}
        }
        return replace(kept, known=known)

    def _waiting_news(self, automation: str) -> defaultdict[str, list[MessageRow]]:
        """Alerts and recoveries under way, by target."""
        found: defaultdict[str, list[MessageRow]] = defaultdict(list)
        for row in self.store.outbox.open_rows():
            message = row.record.message
            if message.automation == automation and message.kind in _KINDS:
                found[message.target.key].append(row)
        return found

    def _count(self, automation: str, status: RunStatus) -> None:
        """Move the failure counter by how a run ended."""
        kept = self.store.failures.get(automation)
        if status is RunStatus.FAILED:
            failed = (kept.consecutive if kept else 0) + 1
            self._keep(automation, consecutive=failed)
        elif status is RunStatus.COMPLETED and kept is not None and kept.consecutive:
            self._keep(automation, consecutive=0)

    def _note_arrival(self, automation: str, row: MessageRow, at: datetime) -> None:
        """A message arrived at its target: counts if it is an alert or a recovery notice."""
        message = row.record.message
        if message.kind not in _KINDS:
            return
        known = _arrived(self.store.failures.get(automation) or FailureState())
        old = known.get(message.target.key, _Arrived())
        if message.kind is MessageKind.RECOVERY:
            new = replace(old, recovery=max(old.recovery, row.number))
        else:
            last = max(old.alerted_at or values.instant(at), values.instant(at))
            new = replace(old, alerted_at=last, alert=max(old.alert, row.number))
        self._keep(automation, known={**known, message.target.key: new})

    def _commit_plan(self, automation: str, plan: Callable[[FailureState], Plan]) -> Plan:
        """Ask `plan` about the state as it stands and write the messages and events
        that it owes."""
        planned = plan(self._failure_state(automation))
        self._owe(planned.messages)
        for event in planned.events:
            self._emit(event)
        return planned

    def _emit(self, event: Event) -> bool:
        """Store an event that is still to be matched; False when it is there."""
        if event.id in self.store.events:
            return False
        self.store.events.put(event.id, EventRow(stored(event), 0, unmatched=True))
        return True

    def _owe(self, messages: Iterable[OutboxMessage]) -> None:
        """Write messages: due at once, or kept for the record."""
        for message in messages:
            stored = replace(
                message,
                body=values.mapping(message.body),
                created_at=values.instant(message.created_at),
                expires_at=values.instant(message.expires_at),
            )
            due = message.status is DeliveryStatus.PENDING
            record = DeliveryRecord(
                message=stored,
                status=message.status,
                next_attempt_at=stored.created_at if due else None,
                finished_at=None if due else stored.created_at,
            )
            row = MessageRow(next(self.store.numbers), record)
            self.store.outbox.put(message.delivery_id, row)

    def _keep(self, automation: str, **changed: object) -> None:
        kept = self.store.failures.get(automation) or FailureState()
        self.store.failures.put(
            automation,
            replace(kept, **changed),
        )


def _arrived(kept: FailureState) -> Mapping[str, _Arrived]:
    return {key: told for key, told in kept.known.items() if isinstance(told, _Arrived)}


def _told(arrived: _Arrived, waiting: Iterable[MessageRow]) -> Told:
    """By the order in which messages were owed, not by the clock. A recovery under way counts
    as told: otherwise each completed run until it arrives would owe another."""
    recovered, is_open = arrived.recovery, False
    for row in waiting:
        if row.record.message.kind is MessageKind.RECOVERY:
            recovered = max(recovered, row.number)
        else:
            is_open = True
    return Told(
        alerted_at=arrived.alerted_at,
        alert_open=is_open,
        alerting=arrived.alert > recovered,
    )
