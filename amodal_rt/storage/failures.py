"""The failure counter of an automation, and the messages that a plan owes."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, func, insert, select

from amodal_rt.clock import to_millis
from amodal_rt.domain.delivery import (
    DeliveryStatus,
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
    Told,
)
from amodal_rt.storage import emission, tables
from amodal_rt.storage.dialect import driver, upsert
from amodal_rt.storage.rows import Row, instant, message_columns

_DELIVERED = DeliveryStatus.DELIVERED.value
_COUNTED = (DeliveryStatus.PENDING.value, DeliveryStatus.SENDING.value, _DELIVERED)
_KINDS = (MessageKind.FAILURE_ALERT.value, MessageKind.RECOVERY.value)


def state_of(connection: Connection, automation: str) -> FailureState:
    """The counter as it stands, and what each target was told, by the messages on record."""
    columns = tables.failure_states.c
    query = select(tables.failure_states).where(columns.automation == automation)
    row = connection.execute(query).mappings().first()
    news = _news(connection, automation)
    others = _forgotten(row, news)
    return FailureState(
        consecutive=row["consecutive"] if row else 0,
        known={target: _told(rows, others) for target, rows in news.items()},
        others=others,
    )


def count_failure(connection: Connection, automation: str) -> None:
    """One more failure in a row."""
    columns = tables.failure_states.c
    row = upsert(tables.failure_states).values(automation=automation, consecutive=1)
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["automation"], set_={"consecutive": columns.consecutive + 1}
        )
    )


def count_success(connection: Connection, automation: str) -> None:
    """The row of failures is over."""
    columns = tables.failure_states.c
    connection.execute(
        tables.failure_states.update().where(columns.automation == automation).values(consecutive=0)
    )


def note_alert(connection: Connection, automation: str, at: datetime) -> None:
    """An alert arrived: for when its message is kept no more."""
    told = {"alerted_at": to_millis(at), "alerting": 1}
    row = upsert(tables.failure_states).values(automation=automation, **told)
    connection.execute(row.on_conflict_do_update(index_elements=["automation"], set_=told))


def note_recovery(connection: Connection, automation: str) -> None:
    """A recovery notice arrived: for when its message is kept no more."""
    columns = tables.failure_states.c
    connection.execute(
        tables.failure_states.update().where(columns.automation == automation).values(alerting=0)
    )


def commit_plan(
    connection: Connection, automation: str, plan: Callable[[FailureState], Plan]
) -> Plan:
    """Ask `plan` about the state as it stands and write the messages and events that it owes."""
    planned = plan(state_of(connection, automation))
    owe(connection, planned.messages)
    emission.store(driver(connection), planned.events)
    return planned


def owe(connection: Connection, messages: Sequence[OutboxMessage]) -> None:
    """Write messages."""
    if messages:
        connection.execute(insert(tables.outbox), [message_columns(each) for each in messages])


def _news(connection: Connection, automation: str) -> Mapping[str, Sequence[Row]]:
    """By target: the newest alerts and recoveries that arrived or are under way."""
    columns = tables.outbox.c
    query = (
        select(
            columns.target_key,
            columns.kind,
            columns.status,
            func.max(columns.number).label("number"),
            func.max(columns.finished_at).label("at"),
        )
        .where(
            columns.automation == automation,
            columns.kind.in_(_KINDS),
            columns.status.in_(_COUNTED),
            columns.target_key.is_not(None),
        )
        .group_by(columns.target_key, columns.kind, columns.status)
    )
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        found[row["target_key"]].append(row)
    return found


def _forgotten(row: Row | None, news: Mapping[str, Sequence[Row]]) -> Told:
    """What targets were told of whom no message is left: nothing, while the newest delivered
    alert of them all is on record; else what that one said."""
    if row is None or row["alerted_at"] is None:
        return Told()
    arrived = [each["at"] for rows in news.values() for each in rows if _is_arrived_alert(each)]
    if any(at >= row["alerted_at"] for at in arrived):
        return Told()
    return Told(alerted_at=instant(row["alerted_at"]), alerting=bool(row["alerting"]))


def _told(rows: Sequence[Row], others: Told) -> Told:
    """What one target was told.

    By the order in which messages were owed, not by the clock. A recovery under way counts as
    told: otherwise each completed run until it arrives would owe another.
    """
    alerted = max((each["number"] for each in rows if _is_arrived_alert(each)), default=0)
    recoveries = [each["number"] for each in rows if each["kind"] == MessageKind.RECOVERY.value]
    recovered = max(recoveries, default=0)
    at = max((each["at"] for each in rows if _is_arrived_alert(each)), default=None)
    return Told(
        alerted_at=others.alerted_at if at is None else instant(at),
        alert_open=any(
            each["kind"] == MessageKind.FAILURE_ALERT.value and each["status"] != _DELIVERED
            for each in rows
        ),
        alerting=alerted > recovered if alerted or recovered else others.alerting,
    )


def _is_arrived_alert(row: Row) -> bool:
    return row["kind"] == MessageKind.FAILURE_ALERT.value and row["status"] == _DELIVERED
