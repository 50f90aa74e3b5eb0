"""Waits for an instant that only a clock which was ahead could have set: `ports.WaitLedger`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, func, select, text, update

from amodal_rt.clock import AHEAD, to_millis
from amodal_rt.storage import tables
from amodal_rt.storage.part import Part

_RUNS = tables.runs.c
_ENTRIES = tables.journal.c
_OUTBOX = tables.outbox.c
_CONDITIONS = tables.conditions.c
_AHEAD = int(AHEAD / timedelta(milliseconds=1))
_NEWEST = 200
"""So many of the newest rows are asked whether the clock that dated them was ahead."""


class WaitRows(Part):
    """`ports.WaitLedger` over a database."""

    async def shorten_waits(
        self, *, now: datetime, pauses: Sequence[timedelta], kept: timedelta, seen: bool
    ) -> int:
        at = to_millis(now)

        def work(connection: Connection) -> int:
            changed = _shorten_retries(connection, at)
            _date_conditions(connection, at)
            if seen or _is_dated_ahead(connection, at):
                changed += _shorten_pauses(connection, [to_millis(now + each) for each in pauses])
                latest = to_millis(now + kept)
                connection.execute(
                    update(tables.outbox)
                    .where(text(tables.PENDING), _OUTBOX.expires_at > latest)
                    .values(expires_at=latest)
                )
            return changed

        return await self._database.write(work)


def _shorten_retries(connection: Connection, now: int) -> int:
    """A run waits as long as it was to wait when it was put back, or made to wait for others
    to become one with, from now on."""
    put_back = (
        select(_ENTRIES.at)
        .where(_ENTRIES.run_id == _RUNS.id)
        .order_by(_ENTRIES.sequence.desc())
        .limit(1)
        .scalar_subquery()
    )
    ahead = now + _AHEAD
    made = case((_RUNS.coalesce_key.is_not(None), _RUNS.created_at))
    since = func.coalesce(put_back, made).label("since")
    query = select(_RUNS.number, _RUNS.not_before, since).where(
        text(tables.TIMED), _RUNS.not_before > ahead
    )
    changed = 0
    for number, not_before, since in connection.execute(query).all():
        if since is not None and since > ahead:
            due = now + max(0, not_before - since)
            connection.execute(
                update(tables.runs).where(_RUNS.number == number).values(not_before=due)
            )
            changed += 1
    return changed


def _date_conditions(connection: Connection, now: int) -> None:
    """What ends a condition must be later than its beginning."""
    for column in (_CONDITIONS.since, _CONDITIONS.cleared_at):
        statement = update(tables.conditions).where(column > now + _AHEAD)
        connection.execute(statement.values({column.name: now}))


def _is_dated_ahead(connection: Connection, now: int) -> bool:
    ahead = now + _AHEAD
    for table in (tables.outbox, tables.runs):
        columns = table.c
        query = select(columns.created_at).order_by(columns.number.desc()).limit(_NEWEST)
        if any(made > ahead for made in connection.execute(query).scalars()):
            return True
    return False


def _shorten_pauses(connection: Connection, latest: Sequence[int]) -> int:
    """No message waits longer than the longest pause after as many attempts as it had."""
    tried = _OUTBOX.attempts - _OUTBOX.retried_at_attempt
    changed = 0
    for attempts, until in enumerate(latest):
        same = tried >= attempts if attempts == len(latest) - 1 else tried == attempts
        statement = (
            update(tables.outbox)
            .where(text(tables.PENDING), same, _OUTBOX.next_attempt_at > until)
            .values(next_attempt_at=until)
        )
        changed += connection.execute(statement).rowcount
    return changed
