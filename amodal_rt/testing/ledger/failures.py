"""The failure counter of an automation, and the messages that a plan owes."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from amodal_rt.domain.delivery import (
    DeliveryRecord,
    DeliveryStatus,
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
)
from amodal_rt.domain.run import RunStatus
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.part import Part
from amodal_rt.testing.ledger.store import MessageRow


class FailureRows(Part):
    """What outcomes and messages share."""

    def _failure_state(self, automation: str) -> FailureState:
        """The counter as it stands.

        A recovery notice that is owed and unsettled counts as told: otherwise each completed
        run until it arrives would owe another.
        """
        kept = self.store.failures.get(automation) or FailureState()
        return replace(
            kept,
            alert_open=self.store.is_owed(automation, MessageKind.FAILURE_ALERT),
            alerting=kept.alerting and not self.store.is_owed(automation, MessageKind.RECOVERY),
        )

    def _count(self, automation: str, status: RunStatus) -> None:
        """Move the failure counter by how a run ended."""
        kept = self.store.failures.get(automation)
        if status is RunStatus.FAILED:
            failed = (kept.consecutive if kept else 0) + 1
            self._keep(automation, consecutive=failed)
        elif status is RunStatus.COMPLETED and kept is not None and kept.consecutive:
            self._keep(automation, consecutive=0)

    def _note_alert(self, automation: str, at: datetime) -> None:
        """An alert arrived."""
        self._keep(automation, alerted_at=values.instant(at), alerting=True)

    def _note_recovery(self, automation: str) -> None:
        """A recovery notice arrived."""
        if automation in self.store.failures:
            self._keep(automation, alerting=False)

    def _commit_plan(self, automation: str, plan: Callable[[FailureState], Plan]) -> Plan:
        """Ask `plan` about the state as it stands and write the messages that it owes."""
        planned = plan(self._failure_state(automation))
        self._owe(planned.messages)
        return planned

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
