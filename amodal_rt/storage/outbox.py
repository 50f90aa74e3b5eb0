"""Messages owed: `ports.Outbox`."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, select, text, update

from amodal_rt.clock import to_millis
from amodal_rt.domain.breaker import Breaker, BreakerState, on_trial
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
from amodal_rt.storage import breakers, failures, giving_up, journal, sealing, tables
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.part import Part, is_orphaned
from amodal_rt.storage.rows import Columns, Row, instant, maybe_storable, millis, to_delivery

_OUTBOX = tables.outbox.c
_FINAL = {
    AttemptResult.DELIVERED: DeliveryStatus.DELIVERED,
    AttemptResult.DEAD: DeliveryStatus.DEAD,
    AttemptResult.SUPPRESSED: DeliveryStatus.SUPPRESSED,
}
_GIVEN_UP = (DeliveryStatus.DEAD.value, DeliveryStatus.EXPIRED.value)
_UNSETTLED = (DeliveryStatus.PENDING.value, DeliveryStatus.SENDING.value)


class OutboxRows(Part):
    """`ports.Outbox` over a database."""

    async def claim_messages(self, *, limit: int, now: datetime) -> list[DeliveryRecord]:
        at, node = to_millis(now), self._node
        due = (
            select(_OUTBOX.number)
            .where(text(tables.PENDING), _OUTBOX.next_attempt_at <= at)
            .order_by(_OUTBOX.next_attempt_at, _OUTBOX.number)
            .limit(limit)
        )

        def work(connection: Connection) -> list[DeliveryRecord]:
            if not self._may_act(connection, node):
                return []
            giving_up.expire(connection, now)
            trials = _hold_back(connection, now)
            numbers = list(connection.execute(due).scalars())
            if not numbers:
                return []
            for number in trials.keys() & set(numbers):
                breakers.keep(connection, on_trial(trials[number], now))
            connection.execute(
                update(tables.outbox)
                .where(_OUTBOX.number.in_(numbers))
                .values(status=DeliveryStatus.SENDING.value, node=node)
            )
            query = select(tables.outbox).where(_OUTBOX.number.in_(numbers))
            query = query.order_by(_OUTBOX.next_attempt_at, _OUTBOX.number)
            return [to_delivery(row) for row in connection.execute(query).mappings()]

        return await self._database.write(work)

    async def next_due_at(self) -> datetime | None:
        query = select(func.min(_OUTBOX.next_attempt_at)).where(text(tables.PENDING))
        return await self._database.read(
            lambda connection: instant(connection.execute(query).scalar())
        )

    async def record_attempt(self, attempt: Attempt) -> None:
        changed = _after(attempt)

        def work(connection: Connection) -> None:
            row = _get(connection, attempt.delivery_id)
            claimed_since = row["node"] is not None and row["node"] not in self._lives
            if row["status"] not in _UNSETTLED or claimed_since:
                return
            connection.execute(
                update(tables.outbox).where(_OUTBOX.number == row["number"]).values(**changed)
            )
            if attempt.result in _FINAL:
                at = to_millis(attempt.at)
                sealing.seal_message(driver(connection), row["id"], row["run_id"], at)
            _follow(connection, row, attempt)
            tried = attempt.tried(to_delivery(row).message.target)
            if tried is not None:
                breakers.follow(connection, tried)

        await self._database.write(work)

    async def release_claims(self, *, sending: Collection[str] | None = None) -> int:
        node = self._node
        left = is_orphaned(_OUTBOX.node, node, _OUTBOX.id, sending)
        orphaned = (text(tables.SENDING), left)
        query = select(_OUTBOX.number).where(*orphaned).limit(1)
        statement = (
            update(tables.outbox)
            .where(*orphaned)
            .values(status=DeliveryStatus.PENDING.value, node=None)
        )

        def work(connection: Connection) -> int:
            if not self._may_act(connection, node):
                return 0
            return connection.execute(statement).rowcount

        # Asked every second: what is nearly always in vain must not cost a commit.
        if await self._database.read(lambda connection: connection.execute(query).first()) is None:
            return 0
        return await self._database.write(work)

    async def retry_message(
        self,
        delivery_id: str,
        *,
        at: datetime,
        expires_at: datetime,
        caller: Caller | None = None,
    ) -> None:
        def work(connection: Connection) -> None:
            row = _get(connection, delivery_id)
            if row["status"] == DeliveryStatus.DELIVERED.value:
                raise ConflictError(f"{delivery_id} was delivered", code="delivered")
            if row["status"] == DeliveryStatus.SENDING.value:
                raise ConflictError(f"{delivery_id} is being sent", code="sending")
            _make_due(connection, row, at, expires_at, caller)

        await self._database.write(work)

    async def retry_messages(
        self,
        *,
        since: datetime,
        at: datetime,
        expires_at: datetime,
        label: str | None = None,
        caller: Caller | None = None,
    ) -> list[str]:
        query = (
            select(tables.outbox)
            .where(_OUTBOX.status.in_(_GIVEN_UP), _OUTBOX.finished_at >= to_millis(since))
            .order_by(_OUTBOX.number)
        )

        def work(connection: Connection) -> list[str]:
            found: list[str] = []
            for row in connection.execute(query).mappings().all():
                if label is None or to_delivery(row).message.target.label == label:
                    _make_due(connection, row, at, expires_at, caller)
                    found.append(row["id"])
            return found

        return await self._database.write(work)

    async def given_up(self, *, limit: int) -> list[DeliveryRecord]:
        query = select(tables.outbox).where(text(tables.UNANSWERED))
        query = query.order_by(_OUTBOX.number).limit(limit)

        def work(connection: Connection) -> list[DeliveryRecord]:
            return [to_delivery(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def follow_up(self, delivery_id: str, plan: Callable[[FailureState], Plan]) -> Plan:
        query = select(_OUTBOX.number, _OUTBOX.automation).where(
            _OUTBOX.id == delivery_id, text(tables.UNANSWERED)
        )

        def work(connection: Connection) -> Plan:
            row = connection.execute(query).mappings().first()
            if row is None:
                return Plan()
            connection.execute(
                update(tables.outbox).where(_OUTBOX.number == row["number"]).values(unanswered=0)
            )
            if row["automation"] is None:
                return Plan()
            return _owe(connection, row["automation"], plan)

        return await self._database.write(work)

    async def owe_again(self, delivery_id: str, *, at: datetime) -> bool:
        due: Columns = {
            "status": DeliveryStatus.PENDING.value,
            "next_attempt_at": to_millis(at),
            "finished_at": None,
            "unanswered": 0,
        }

        def work(connection: Connection) -> bool:
            row = _get(connection, delivery_id)
            is_alert = row["kind"] != MessageKind.RESULT.value
            if not is_alert or row["status"] not in _GIVEN_UP or row["expires_at"] <= to_millis(at):
                return False
            mine = _OUTBOX.number == row["number"]
            connection.execute(update(tables.outbox).where(mine).values(**due))
            return True

        return await self._database.write(work)

    async def has_delivered(
        self, since: datetime, *, automation: str | None = None, target: str | None = None
    ) -> bool:
        query = (
            select(_OUTBOX.status, func.max(_OUTBOX.finished_at))
            .where(_OUTBOX.finished_at >= to_millis(since))
            .group_by(_OUTBOX.status)
        )
        outcomes = [DeliveryStatus.DELIVERED.value]
        if automation is not None:
            outcomes += _GIVEN_UP
            query = query.where(
                _OUTBOX.automation == automation, _OUTBOX.kind == MessageKind.RESULT.value
            )
        if target is not None:
            query = query.where(_OUTBOX.target_key == target)
        query = query.where(_OUTBOX.status.in_(outcomes))

        def work(connection: Connection) -> bool:
            newest: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
            delivered = newest.pop(DeliveryStatus.DELIVERED.value, None)
            return delivered is not None and all(at <= delivered for at in newest.values())

        return await self._database.read(work)

    async def find_message(self, delivery_id: str) -> DeliveryRecord | None:
        query = select(tables.outbox).where(_OUTBOX.id == delivery_id)

        def work(connection: Connection) -> DeliveryRecord | None:
            row = connection.execute(query).mappings().first()
            return None if row is None else to_delivery(row)

        return await self._database.read(work)

    async def list_messages(
        self,
        *,
        limit: int,
        status: DeliveryStatus | None = None,
        run_ids: Sequence[str] | None = None,
        kind: MessageKind | None = None,
    ) -> list[DeliveryRecord]:
        query = select(tables.outbox).order_by(_OUTBOX.number.desc()).limit(limit)
        if status is not None:
            query = query.where(_OUTBOX.status == status.value)
        if run_ids is not None:
            query = query.where(_OUTBOX.run_id.in_(list(run_ids)))
        if kind is not None:
            query = query.where(_OUTBOX.kind == kind.value)

        def work(connection: Connection) -> list[DeliveryRecord]:
            return [to_delivery(row) for row in connection.execute(query).mappings()]

        return await self._database.read(work)

    async def failure_state(self, automation: str) -> FailureState:
        return await self._database.read(
            lambda connection: failures.state_of(connection, automation)
        )

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

        def work(connection: Connection) -> None:
            if term is not None:
                journal.require_held(connection, run_id, term)
            failures.owe(connection, messages)
            journal.append(
                connection,
                run_id,
                EntryType.DELIVERY_OWED,
                at=at,
                attempt=attempt,
                step=step,
                data=told,
            )

        await self._database.write(work)

    async def owe(self, automation: str, plan: Callable[[FailureState], Plan]) -> Plan:
        def work(connection: Connection) -> Plan:
            return _owe(connection, automation, plan)

        return await self._database.write(work)


def _owe(connection: Connection, automation: str, plan: Callable[[FailureState], Plan]) -> Plan:
    planned = failures.commit_plan(connection, automation, plan)
    for note in planned.notes:
        _note(connection, planned, note)
    return planned


def _hold_back(connection: Connection, now: datetime) -> dict[int, Breaker]:
    """Take what is due for failing targets out of the way; the messages that are trials."""
    trials: dict[int, Breaker] = {}
    for breaker in breakers.all_breakers(connection):
        if breaker.state is BreakerState.DISABLED:
            giving_up.refuse(connection, breaker.target, now, breaker.sentence())
        elif breaker.holds(now):
            breakers.hold_back(connection, breaker, now)
        elif breaker.state is not BreakerState.CLOSED:
            number = breakers.begin_trial(connection, breaker, now)
            if number is not None:
                trials[number] = breaker
    return trials


def _make_due(
    connection: Connection, row: Row, at: datetime, expires_at: datetime, caller: Caller | None
) -> None:
    due: Columns = {
        "status": DeliveryStatus.PENDING.value,
        "next_attempt_at": to_millis(at),
        "expires_at": to_millis(expires_at),
        "finished_at": None,
        "unanswered": 0,
        "retried_at_attempt": row["attempts"],
    }
    connection.execute(update(tables.outbox).where(_OUTBOX.number == row["number"]).values(**due))
    breakers.forget(connection, [to_delivery(row).message.target.key], to_millis(at))
    if caller is not None:
        sealing.note(driver(connection), "delivery.retried", row["id"], caller, at, {})


def _get(connection: Connection, delivery_id: str) -> Row:
    row = (
        connection.execute(select(tables.outbox).where(_OUTBOX.id == delivery_id))
        .mappings()
        .first()
    )
    if row is None:
        raise NotFoundError(f"no delivery {delivery_id}", code="delivery_not_found")
    return row


def _after(attempt: Attempt) -> Columns:
    """The columns of a message once `attempt` was made."""
    changed: Columns = {
        "attempts": _OUTBOX.attempts + 1,
        "last_error": maybe_storable(attempt.error),
        "next_attempt_at": None,
        "finished_at": to_millis(attempt.at),
    }
    if attempt.result is AttemptResult.RETRY:
        again: Columns = {
            "status": DeliveryStatus.PENDING.value,
            "next_attempt_at": millis(attempt.retry_at or attempt.at),
            "finished_at": None,
        }
        return changed | again
    changed["unanswered"] = int(attempt.result is AttemptResult.DEAD)
    return changed | {"status": _FINAL[attempt.result].value}


def _follow(connection: Connection, row: Row, attempt: Attempt) -> None:
    """What a settled message says about its automation."""
    automation, kind = row["automation"], MessageKind(row["kind"])
    if attempt.result is AttemptResult.DELIVERED and automation is not None:
        if kind is MessageKind.FAILURE_ALERT:
            failures.note_alert(connection, automation, attempt.at)
        elif kind is MessageKind.RECOVERY:
            failures.note_recovery(connection, automation)
    elif attempt.result is AttemptResult.DEAD:
        giving_up.count(connection, row)


def _note(connection: Connection, planned: Plan, note: str) -> None:
    """Remarks of a plan belong to the run that its messages speak of."""
    first = planned.messages[0] if planned.messages else None
    if first is not None and first.run_id is not None:
        query = select(tables.runs.c.attempt).where(tables.runs.c.id == first.run_id)
        journal.append(
            connection,
            first.run_id,
            EntryType.RUN_NOTE,
            at=first.created_at,
            attempt=connection.execute(query).scalar_one(),
            data={"note": note},
        )
