"""Which targets failed lately, and messages that will not be sent."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from amodal_rt.domain import breaker as rules
from amodal_rt.domain.breaker import Breaker, BreakerState, Try
from amodal_rt.domain.delivery import DeliveryStatus, MessageKind
from amodal_rt.domain.run import RunStatus
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.failures import FailureRows
from amodal_rt.testing.ledger.store import UNSETTLED, MessageRow

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_UNSENT = "it expired before it could be sent"


class BreakerRows(FailureRows):
    """`ports.BreakerLedger` in memory, and what the outbox asks of it."""

    async def breakers(self) -> list[Breaker]:
        self._check_reach()
        return self._breakers()

    async def forget_breaker(self, target: str) -> bool:
        at = values.instant(self._clock.now())
        return await self._write("forget_breaker", lambda: self._forget(target, at))

    def _breakers(self) -> list[Breaker]:
        return sorted(self.store.breakers.values(), key=lambda breaker: breaker.target)

    def _keep_breaker(self, breaker: Breaker) -> None:
        self.store.breakers.put(breaker.target, _stored(breaker))

    def _follow_try(self, tried: Try) -> None:
        """Move the breaker of the target that was tried."""
        known = self.store.breakers.get(tried.target)
        now = rules.after(known, tried)
        if now is None:
            self._forget(tried.target, values.instant(tried.at))
        elif now != known:
            self._keep_breaker(now)

    def _forget(self, target: str, at: datetime) -> bool:
        """Take the target for well again; what waited for it is due at `at`."""
        known = self.store.breakers.get(target)
        if known is None:
            return False
        self.store.breakers.remove(target)
        if known.open_until is not None:
            for row in self._waiting(target):
                if row.record.next_attempt_at == known.open_until:
                    self._set_message(row, next_attempt_at=at)
        return True

    def _hold_back(self, now: datetime) -> dict[str, Breaker]:
        """Take what is due for failing targets out of the way; the messages that are trials."""
        trials: dict[str, Breaker] = {}
        for breaker in self._breakers():
            due = sorted(
                (row for row in self._waiting(breaker.target) if _is_due(row, now)), key=order
            )
            if breaker.state is BreakerState.DISABLED:
                for row in due:
                    self._give_up(row, DeliveryStatus.DEAD, now, breaker.sentence())
            elif breaker.holds(now):
                self._put_off(due, breaker, breaker.open_until)
            elif breaker.state is not BreakerState.CLOSED and due:
                trials[due[0].record.message.delivery_id] = breaker
                self._put_off(due[1:], breaker, rules.on_trial(breaker, now).open_until)
        return trials

    def _put_off(self, rows: list[MessageRow], breaker: Breaker, until: datetime | None) -> None:
        assert until is not None
        for row in rows:
            # Not beyond the expiry, which would then come to nobody's notice.
            later = min(until, row.record.message.expires_at)
            self._set_message(row, next_attempt_at=later, last_error=breaker.sentence())

    def _expire(self, now: datetime) -> None:
        """Settle what is past its expiry and not being sent."""
        for row in self._waiting(None):
            if row.record.message.expires_at <= now:
                error = row.record.last_error or _UNSENT
                self._give_up(row, DeliveryStatus.EXPIRED, now, error)

    def _give_up(self, row: MessageRow, status: DeliveryStatus, now: datetime, error: str) -> None:
        rehearsed = row.record.message.rehearsed
        self._set_message(
            row,
            unanswered=not rehearsed,
            status=DeliveryStatus.SUPPRESSED if rehearsed else status,
            finished_at=now,
            next_attempt_at=None,
            last_error=values.text(error),
        )
        if not rehearsed:
            self._count_given_up(row)

    def _count_given_up(self, row: MessageRow) -> None:
        """A result that was given up counts as a failure of its automation."""
        message = row.record.message
        if message.kind is MessageKind.RESULT and message.automation is not None:
            self._count(message.automation, RunStatus.FAILED)

    def _waiting(self, target: str | None) -> list[MessageRow]:
        """Pending messages, to one target or to all."""
        return self._pending(lambda row: target is None or row.record.message.target.key == target)

    def _pending(self, wanted: Callable[[MessageRow], bool]) -> list[MessageRow]:
        return [
            row
            for row in self.store.outbox.open_rows()
            if row.record.status is DeliveryStatus.PENDING and wanted(row)
        ]

    def _set_message(
        self,
        row: MessageRow,
        *,
        node: str | None = None,
        unanswered: bool = False,
        **changed: object,
    ) -> MessageRow:
        """Replace columns of a message; returns it as it stands then."""
        record = replace(row.record, **changed)
        made = MessageRow(row.number, record, node, unanswered)
        self.store.outbox.put(record.message.delivery_id, made)
        if row.record.status in UNSETTLED and record.status not in UNSETTLED:
            self.store.seals.put(next(self.store.numbers), (record.message.delivery_id, 0))
        return made


def order(row: MessageRow) -> tuple[datetime, int]:
    """Oldest due first."""
    return row.record.next_attempt_at or _NEVER, row.number


def _is_due(row: MessageRow, now: datetime) -> bool:
    at = row.record.next_attempt_at
    return at is not None and at <= now


def _stored(breaker: Breaker) -> Breaker:
    return replace(
        breaker,
        target=values.text(breaker.target),
        error=values.maybe_text(breaker.error),
        changed_at=values.instant(breaker.changed_at),
        open_until=values.maybe_instant(breaker.open_until),
        failing_since=values.maybe_instant(breaker.failing_since),
        tries=tuple((values.instant(at), good) for at, good in breaker.tries),
    )
