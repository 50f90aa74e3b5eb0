"""Messages that will not be sent: what that says of their automation, and who must hear of it."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, select, text, update

from amodal_rt.clock import to_millis
from amodal_rt.domain.delivery import REHEARSAL, DeliveryStatus, MessageKind
from amodal_rt.storage import failures, sealing, tables
from amodal_rt.storage.dialect import driver
from amodal_rt.storage.rows import Columns, Row, loaded, maybe_storable

_OUTBOX = tables.outbox.c
_AT_ONCE = 500
EXPIRED_UNSENT = "it expired before it could be sent"


def expire(connection: Connection, now: datetime) -> None:
    """Settle what is past its expiry and not being sent."""
    past = _OUTBOX.expires_at <= to_millis(now)
    _give_up(connection, past, DeliveryStatus.EXPIRED, now, EXPIRED_UNSENT)


def refuse(connection: Connection, target: str, now: datetime, error: str) -> None:
    """Settle what is due for a target that takes nothing any more."""
    due = (_OUTBOX.target_key == target) & (_OUTBOX.next_attempt_at <= to_millis(now))
    _give_up(connection, due, DeliveryStatus.DEAD, now, error, overwrite=True)


def count(connection: Connection, row: Row) -> None:
    """A result that was given up counts as a failure of its automation."""
    if row["kind"] == MessageKind.RESULT.value and row["automation"] is not None:
        failures.count_failure(connection, row["automation"])


def _give_up(
    connection: Connection,
    which: ColumnElement[bool],
    status: DeliveryStatus,
    now: datetime,
    error: str,
    *,
    overwrite: bool = False,
) -> None:
    query = select(tables.outbox).where(text(tables.PENDING), which).limit(_AT_ONCE)
    while rows := connection.execute(query).mappings().all():
        for row in rows:
            rehearsed = loaded(row["body"]).get("model") == REHEARSAL
            changed: Columns = {
                "status": (DeliveryStatus.SUPPRESSED if rehearsed else status).value,
                "finished_at": to_millis(now),
                "next_attempt_at": None,
                "unanswered": int(not rehearsed),
            }
            if overwrite or row["last_error"] is None:
                changed["last_error"] = maybe_storable(error)
            connection.execute(
                update(tables.outbox).where(_OUTBOX.number == row["number"]).values(**changed)
            )
            at = to_millis(now)
            sealing.seal_message(driver(connection), row["id"], row["run_id"], at)
            if not rehearsed:
                count(connection, row)
