"""The statements of `retention`: each names what may go and asks again whether it may.

A function that takes a `limit`, or some keys, deletes no more rows than that by name.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Table,
    TextClause,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    text,
    tuple_,
)

from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.storage import tables

_RUNS, _EVENTS, _OUTBOX = tables.runs.c, tables.events.c, tables.outbox.c
_JOURNAL, _SLOTS, _STATES = tables.journal.c, tables.occurrences.c, tables.schedule_states.c
_PARKED = tables.parked_writes.c
_VERSIONS, _LIVE = tables.definition_versions.c, tables.live_definitions.c

_PAGE = 4096


class Ended(NamedTuple):
    """A run that may go. `weight` is about how many rows and pages go with it."""

    number: int
    run_id: str
    weight: int


Version = tuple[str, str, str]
"""Kind, name and hash."""


def keys(before: int) -> Callable[[int], Delete]:
    """Delivery keys seen up to `before`."""
    return _some(tables.dedup_keys, tables.dedup_keys.c.seen_at <= before)


def items(now: int) -> Callable[[int], Delete]:
    """Values of stores that have expired."""
    return _some(tables.store_items, tables.store_items.c.expires_at <= now)


def alerts(before: int) -> Callable[[int], Delete]:
    """Settled messages that no run is the cause of."""
    settled = not_(_unsettled())
    return _some(tables.outbox, _OUTBOX.run_id.is_(None), settled, _OUTBOX.finished_at < before)


def rejections(before: int) -> Callable[[int], Delete]:
    """Refused requests; their counts stay."""
    return _some(tables.rejections, tables.rejections.c.at < before)


def slots_of(automation: str, before: int) -> Callable[[int], Delete]:
    """Taken slots that nobody can ask for again: every schedule of the automation is past them."""
    reached = func.coalesce(_STATES.last_slot, _STATES.counted_from)
    behind = exists().where(_STATES.automation == automation, reached < _SLOTS.scheduled_for)
    old = _SLOTS.scheduled_for < before
    return _some(tables.occurrences, _SLOTS.automation == automation, old, not_(behind))


def journal_of(run_id: str) -> Callable[[int], Delete]:
    """Entries of a run that is about to go."""
    return _some(tables.journal, _JOURNAL.run_id == run_id)


def runs(numbers: Sequence[int], before: int) -> Delete:
    """Those of the runs that may go, with what refers to them."""
    return delete(tables.runs).where(_RUNS.number.in_(numbers), *_may_go(before))


def ended(numbers: Sequence[int], before: int) -> Callable[[Connection], list[Ended]]:
    """Those of the runs that may go."""
    query = select(
        _RUNS.number,
        _RUNS.id,
        select(func.count()).where(_JOURNAL.run_id == _RUNS.id).scalar_subquery(),
        select(func.sum(func.length(_JOURNAL.data)))
        .where(_JOURNAL.run_id == _RUNS.id)
        .scalar_subquery(),
    ).where(_RUNS.number.in_(numbers), *_may_go(before))

    def look(connection: Connection) -> list[Ended]:
        return [
            Ended(number, run_id, 1 + rows + (letters or 0) // _PAGE)
            for number, run_id, rows, letters in connection.execute(query)
        ]

    return look


def told_of(automation: str) -> Callable[[Connection], set[int]]:
    """Numbers of the runs that an automation is known by: the newest, and the one it is told."""
    mine = _RUNS.automation == automation
    newest = select(func.max(_RUNS.number)).where(mine, text(tables.NOT_SKIPPED))
    told = (
        select(_RUNS.number)
        .where(mine, text(tables.TELLABLE))
        .order_by(_RUNS.finished_at.desc(), _RUNS.number.desc())
        .limit(1)
    )

    def look(connection: Connection) -> set[int]:
        found = [connection.execute(query).scalar() for query in (newest, told)]
        return {number for number in found if number is not None}

    return look


def events(numbers: Sequence[int]) -> Delete:
    """Those of the events that no run came from, or whose runs are gone; none that waits."""
    caused = exists().where(_RUNS.event_id == _EVENTS.id)
    return delete(tables.events).where(
        _EVENTS.number.in_(numbers), _EVENTS.unmatched == 0, not_(caused)
    )


def gate_values(before: int) -> Callable[[int], Delete]:
    """What gates of automations saw that are no more."""
    values = tables.gate_values.c
    live = exists().where(_LIVE.kind == "automation", _LIVE.name == values.automation)
    return _some(tables.gate_values, values.at < before, not_(live))


def seals(through: int) -> Callable[[int], Delete]:
    """Seals before that one, which stays: what is behind it stands on its digest."""
    return _some(tables.seals, tables.seals.c.number < through)


def spending(before: str) -> Callable[[int], Delete]:
    """What models cost on days before that ISO date."""
    return _some(tables.spending, tables.spending.c.day < before)


def tokens(before: int) -> Callable[[int], Delete]:
    """Tokens that were revoked long ago; the audit trail names them still."""
    return _some(tables.tokens, tables.tokens.c.revoked_at < before)


def parked_writes(before: int) -> Callable[[int], Delete]:
    """Parked writes that ended long ago; the audit trail names them still."""
    return _some(tables.parked_writes, tables.parked_writes.c.finished_at < before)


def unused_versions(before: int) -> Callable[[Connection], list[Version]]:
    """Versions that are not live and that no run names."""
    old = select(_VERSIONS.kind, _VERSIONS.name, _VERSIONS.hash).where(
        _VERSIONS.recorded_at < before, not_(_live())
    )
    named = select(_RUNS.definition).distinct()

    def look(connection: Connection) -> list[Version]:
        found = [(row[0], row[1], row[2]) for row in connection.execute(old)]
        used = set(connection.execute(named).scalars()) if found else set[str]()
        return [version for version in found if version[2] not in used]

    return look


def versions(some: Sequence[Version]) -> Delete:
    """Those of the versions that are not live again."""
    key = tuple_(_VERSIONS.kind, _VERSIONS.name, _VERSIONS.hash)
    return delete(tables.definition_versions).where(key.in_(some), not_(_live()))


def _some(table: Table, *conditions: ColumnElement[bool]) -> Callable[[int], Delete]:
    """Deletes up to a limit of the rows that meet all conditions."""
    parts = list(table.primary_key.columns)
    key = parts[0] if len(parts) == 1 else tuple_(*parts)
    return lambda limit: delete(table).where(
        key.in_(select(*parts).where(*conditions).limit(limit).correlate(None))
    )


def _may_go(before: int) -> tuple[ColumnElement[bool] | TextClause, ...]:
    """A run that ended long ago, a skip whose last slot lies as far back, nothing to be sent and
    nothing to be decided."""
    owes = exists().where(_OUTBOX.run_id == _RUNS.id, _unsettled())
    asks = exists().where(_PARKED.run_id == _RUNS.id, _PARKED.finished_at.is_(None))
    last_slot = func.coalesce(_RUNS.scheduled_until, _RUNS.scheduled_for)
    return (
        text(f"NOT ({tables.OPEN})"),
        func.coalesce(_RUNS.finished_at, _RUNS.created_at) < before,
        or_(last_slot.is_(None), last_slot < before),
        not_(owes),
        not_(asks),
    )


def _unsettled() -> ColumnElement[bool]:
    unsettled = (DeliveryStatus.PENDING.value, DeliveryStatus.SENDING.value)
    return _OUTBOX.status.in_(unsettled)


def _live() -> ColumnElement[bool]:
    return exists().where(
        _LIVE.kind == _VERSIONS.kind, _LIVE.name == _VERSIONS.name, _LIVE.hash == _VERSIONS.hash
    )
