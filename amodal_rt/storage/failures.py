"""The failure counter of an automation, and the messages that a plan owes."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, insert, select

from amodal_rt.clock import to_millis
from amodal_rt.domain.delivery import (
    DeliveryStatus,
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
)
from amodal_rt.storage import tables
from amodal_rt.storage.dialect import upsert
from amodal_rt.storage.rows import instant, message_columns

_UNSETTLED = (DeliveryStatus.PENDING.value, DeliveryStatus.SENDING.value)


def state_of(connection: Connection, automation: str) -> FailureState:
    """The counter as it stands.

    A recovery notice that is owed and unsettled counts as told: otherwise each completed
    run until it arrives would owe another.
    """
    columns = tables.failure_states.c
    query = select(tables.failure_states).where(columns.automation == automation)
    row = connection.execute(query).mappings().first()
    if row is None:
        return FailureState(alert_open=_is_owed(connection, automation, MessageKind.FAILURE_ALERT))
    return FailureState(
        consecutive=row["consecutive"],
        alerted_at=instant(row["alerted_at"]),
        alert_open=_is_owed(connection, automation, MessageKind.FAILURE_ALERT),
        alerting=bool(row["alerting"])
        and not _is_owed(connection, automation, MessageKind.RECOVERY),
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
    """An alert arrived."""
    told = {"alerted_at": to_millis(at), "alerting": 1}
    row = upsert(tables.failure_states).values(automation=automation, **told)
    connection.execute(row.on_conflict_do_update(index_elements=["automation"], set_=told))


def note_recovery(connection: Connection, automation: str) -> None:
    """A recovery notice arrived."""
    columns = tables.failure_states.c
    connection.execute(
        tables.failure_states.update().where(columns.automation == automation).values(alerting=0)
    )


def commit_plan(
    connection: Connection, automation: str, plan: Callable[[FailureState], Plan]
) -> Plan:
    """Ask `plan` about the state as it stands and write the messages that it owes."""
    planned = plan(state_of(connection, automation))
    owe(connection, planned.messages)
    return planned


def owe(connection: Connection, messages: Sequence[OutboxMessage]) -> None:
    """Write messages."""
    if messages:
        connection.execute(insert(tables.outbox), [message_columns(each) for each in messages])


def _is_owed(connection: Connection, automation: str, kind: MessageKind) -> bool:
    columns = tables.outbox.c
    query = (
        select(columns.number)
        .where(
            columns.automation == automation,
            columns.kind == kind.value,
            columns.status.in_(_UNSETTLED),
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None
