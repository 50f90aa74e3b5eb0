"""Messages owed: `ports.Outbox`."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from amodal_rt.domain.breaker import on_trial
from amodal_rt.domain.delivery import (
    Attempt,
    AttemptResult,
    DeliveryRecord,
    DeliveryStatus,
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
)
from amodal_rt.domain.journal import EntryType
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import Caller
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.breakers import BreakerRows, order
from amodal_rt.testing.ledger.store import UNSETTLED, MessageRow

_FINAL = {
    AttemptResult.DELIVERED: DeliveryStatus.DELIVERED,
    AttemptResult.DEAD: DeliveryStatus.DEAD,
    AttemptResult.SUPPRESSED: DeliveryStatus.SUPPRESSED,
}
_GIVEN_UP = frozenset({DeliveryStatus.DEAD, DeliveryStatus.EXPIRED})


class OutboxRows(BreakerRows):
    """`ports.Outbox` in memory."""

    async def claim_messages(self, *, limit: int, now: datetime) -> list[DeliveryRecord]:
        at, node = values.instant(now), self._node

        def work() -> list[DeliveryRecord]:
            if not self._may_act(node):
                return []
            self._expire(at)
            trials = self._hold_back(at)
            due = self._pending(lambda row: (row.record.next_attempt_at or at) <= at)
            claimed = [
                self._set_message(row, node=node, status=DeliveryStatus.SENDING)
                for row in sorted(due, key=order)[:limit]
            ]
            for row in claimed:
                breaker = trials.get(row.record.message.delivery_id)
                if breaker is not None:
                    self._keep_breaker(on_trial(breaker, at))
            return [row.record for row in claimed]

        return await self._write("claim_messages", work)

    async def next_due_at(self) -> datetime | None:
        self._check_reach()
        waiting = (row.record.next_attempt_at for row in self._waiting(None))
        return min((at for at in waiting if at is not None), default=None)

    async def record_attempt(self, attempt: Attempt) -> None:
        def work() -> None:
            row = self._message(attempt.delivery_id)
            claimed_since = row.node is not None and row.node not in self._lives
            if row.record.status not in UNSETTLED or claimed_since:
                return
            self._settle(row, attempt)
            self._follow(row, attempt)
            tried = attempt.tried(row.record.message.target)
            if tried is not None:
                self._follow_try(tried)

        await self._write("record_attempt", work)

    async def release_claims(self, *, sending: Collection[str] | None = None) -> int:
        node = self._node

        def orphaned() -> list[MessageRow]:
            return [
                row
                for row in self.store.outbox.open_rows()
                if row.record.status is DeliveryStatus.SENDING
                and self._is_orphaned(row.node, node, row.record.message.delivery_id, sending)
            ]

        def work() -> int:
            found = orphaned() if self._may_act(node) else []
            for row in found:
                self._set_message(row, status=DeliveryStatus.PENDING)
            return len(found)

        self._check_reach()
        return await self._write("release_claims", work) if orphaned() else 0

    async def retry_message(
        self,
        delivery_id: str,
        *,
        at: datetime,
        expires_at: datetime,
        caller: Caller | None = None,
    ) -> None:
        def work() -> None:
            row = self._message(delivery_id)
            if row.record.status is DeliveryStatus.DELIVERED:
                raise ConflictError(f"{delivery_id} was delivered", code="delivered")
            if row.record.status is DeliveryStatus.SENDING:
                raise ConflictError(f"{delivery_id} is being sent", code="sending")
            self._make_due(row, at, expires_at, caller)

        await self._write("retry_message", work)

    async def retry_messages(
        self,
        *,
        since: datetime,
        at: datetime,
        expires_at: datetime,
        label: str | None = None,
        caller: Caller | None = None,
    ) -> list[str]:
        def work() -> list[str]:
            found = [
                row
                for row in self.store.outbox.values()
                if row.record.status in _GIVEN_UP
                and row.record.finished_at is not None
                and row.record.finished_at >= since
                and label in (None, row.record.message.target.label)
            ]
            for row in found:
                self._make_due(row, at, expires_at, caller)
            return [row.record.message.delivery_id for row in found]

        return await self._write("retry_messages", work)

    async def given_up(self, *, limit: int) -> list[DeliveryRecord]:
        self._check_reach()
        rows = (row.record for row in self.store.outbox.values() if row.unanswered)
        return list(islice(rows, limit))

    async def follow_up(self, delivery_id: str, plan: Callable[[FailureState], Plan]) -> Plan:
        def work() -> Plan:
            row = self.store.outbox.get(delivery_id)
            if row is None or not row.unanswered:
                return Plan()
            self._set_message(row, node=row.node)
            automation = row.record.message.automation
            return Plan() if automation is None else self._owe_plan(automation, plan)

        return await self._write("follow_up", work)

    async def owe_again(self, delivery_id: str, *, at: datetime) -> bool:
        due = values.instant(at)

        def work() -> bool:
            row = self._message(delivery_id)
            message, status = row.record.message, row.record.status
            is_alert = message.kind is not MessageKind.RESULT
            if not is_alert or status not in _GIVEN_UP or message.expires_at <= due:
                return False
            self._set_message(
                row,
                node=row.node,
                status=DeliveryStatus.PENDING,
                next_attempt_at=due,
                finished_at=None,
            )
            return True

        return await self._write("owe_again", work)

    async def has_delivered(
        self, since: datetime, *, automation: str | None = None, target: str | None = None
    ) -> bool:
        self._check_reach()
        newest: dict[bool, datetime] = {}
        for record in (row.record for row in self.store.outbox.values()):
            arrived = record.status is DeliveryStatus.DELIVERED
            at, message = record.finished_at, record.message
            if at is None or at < since or target not in (None, message.target.key):
                continue
            if automation is None and not arrived:
                continue
            if automation not in (None, message.automation):
                continue
            if automation is not None and message.kind is not MessageKind.RESULT:
                continue
            if arrived or record.status in _GIVEN_UP:
                newest[arrived] = max(at, newest.get(arrived, at))
        return True in newest and newest.get(False, newest[True]) <= newest[True]

    async def find_message(self, delivery_id: str) -> DeliveryRecord | None:
        self._check_reach()
        row = self.store.outbox.get(delivery_id)
        return None if row is None else row.record

    async def list_messages(
        self,
        *,
        limit: int,
        status: DeliveryStatus | None = None,
        run_ids: Sequence[str] | None = None,
        kind: MessageKind | None = None,
    ) -> list[DeliveryRecord]:
        self._check_reach()
        found = (
            row.record
            for row in self.store.outbox.newest()
            if status in (None, row.record.status)
            and (run_ids is None or row.record.message.run_id in run_ids)
            and kind in (None, row.record.message.kind)
        )
        return list(islice(found, limit))

    async def failure_state(self, automation: str) -> FailureState:
        self._check_reach()
        return self._failure_state(automation)

    async def owe(self, automation: str, plan: Callable[[FailureState], Plan]) -> Plan:
        return await self._write("owe", lambda: self._owe_plan(automation, plan))

    def _message(self, delivery_id: str) -> MessageRow:
        row = self.store.outbox.get(delivery_id)
        if row is None:
            raise NotFoundError(f"no delivery {delivery_id}", code="delivery_not_found")
        return row

    def _settle(self, row: MessageRow, attempt: Attempt) -> None:
        at = values.instant(attempt.at)
        again = attempt.result is AttemptResult.RETRY
        self._set_message(
            row,
            node=row.node,
            unanswered=attempt.result is AttemptResult.DEAD,
            attempts=row.record.attempts + 1,
            last_error=values.maybe_text(attempt.error),
            status=DeliveryStatus.PENDING if again else _FINAL[attempt.result],
            next_attempt_at=values.instant(attempt.retry_at or at) if again else None,
            finished_at=None if again else at,
        )

    def _follow(self, row: MessageRow, attempt: Attempt) -> None:
        """What a settled message says about its automation."""
        automation = row.record.message.automation
        if attempt.result is AttemptResult.DEAD:
            self._count_given_up(row)
        elif attempt.result is AttemptResult.DELIVERED and automation is not None:
            self._note_arrival(automation, row, attempt.at)

    def _make_due(
        self, row: MessageRow, at: datetime, expires_at: datetime, caller: Caller | None
    ) -> None:
        message = replace(row.record.message, expires_at=values.instant(expires_at))
        self._set_message(
            row,
            node=row.node,
            message=message,
            status=DeliveryStatus.PENDING,
            next_attempt_at=values.instant(at),
            finished_at=None,
            retried_at_attempt=row.record.attempts,
        )
        self._forget(message.target.key, values.instant(at))
        if caller is not None:
            self.store.note("delivery.retried", message.delivery_id, caller, at, {})

    async def owe_from_run(
        self,
        run_id: str,
        messages: Sequence[OutboxMessage],
        *,
        at: datetime,
        step: str,
        attempt: int = 1,
        term: int | None = None,
    ) -> None:
        told = {"targets": [each.target.label for each in messages]}

        def work() -> None:
            self._require_run(run_id)
            if term is not None:
                self._require_held(run_id, term)
            self._owe(messages)
            kind = EntryType.DELIVERY_OWED
            self.store.append(run_id, kind, at=at, attempt=attempt, step=step, data=told)

        await self._write("owe_from_run", work)

    def _owe_plan(self, automation: str, plan: Callable[[FailureState], Plan]) -> Plan:
        planned = self._commit_plan(automation, plan)
        # Remarks of a plan belong to the run that its messages speak of.
        first = planned.messages[0] if planned.messages else None
        if first is not None and first.run_id is not None:
            attempt = self._require_run(first.run_id).run.attempt
            for note in planned.notes:
                self.store.append(
                    first.run_id,
                    EntryType.RUN_NOTE,
                    at=first.created_at,
                    attempt=attempt,
                    data={"note": note},
                )
        return planned
