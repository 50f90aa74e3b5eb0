"""Which targets failed lately: `ports.BreakerLedger`, and what the outbox asks of it."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, case, delete, insert, select, text, update

from amodal_rt import failpoints
from amodal_rt.clock import from_millis, to_millis
from amodal_rt.domain import breaker as rules
from amodal_rt.domain.breaker import Breaker, BreakerState, Try
from amodal_rt.storage import tables
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import (
    Columns,
    Row,
    dumped,
    instant,
    loaded,
    maybe_storable,
    millis,
    storable,
)

_BREAKERS = tables.breakers.c
_OUTBOX = tables.outbox.c


class BreakerRows(Part):
    """`ports.BreakerLedger`."""

    async def breakers(self) -> list[Breaker]:
        return await self._database.read(all_breakers)

    async def forget_breaker(self, target: str) -> bool:
        at = to_millis(self._clock.now())

        def work(connection: Connection) -> bool:
            return forget(connection, [target], at) > 0

        return await self._database.write(work)


def all_breakers(connection: Connection) -> list[Breaker]:
    """All breakers, by key."""
    rows = connection.execute(select(tables.breakers).order_by(_BREAKERS.target)).mappings()
    return [_to_breaker(row) for row in rows]


def follow(connection: Connection, tried: Try) -> None:
    """Move the breaker of the target that was tried; release what waits for one that is well."""
    query = select(tables.breakers).where(_BREAKERS.target == tried.target)
    row = connection.execute(query).mappings().first()
    known = None if row is None else _to_breaker(row)
    now = rules.after(known, tried)
    if now == known:
        return
    failpoints.hit("breaker.before_write")
    if now is None:
        forget(connection, [tried.target], to_millis(tried.at))
    else:
        keep(connection, now)
    failpoints.hit("breaker.after_write")


def keep(connection: Connection, breaker: Breaker) -> None:
    """Insert or replace."""
    connection.execute(delete(tables.breakers).where(_BREAKERS.target == breaker.target))
    connection.execute(insert(tables.breakers).values(**_columns(breaker)))


def forget(connection: Connection, targets: Iterable[str], at: int) -> int:
    """Take the targets for well again; what waited for them is due at `at`. How many had one."""
    forgotten = 0
    for target in targets:
        query = select(_BREAKERS.open_until).where(_BREAKERS.target == target)
        row = connection.execute(query).first()
        if row is None:
            continue
        forgotten += 1
        connection.execute(delete(tables.breakers).where(_BREAKERS.target == target))
        if row[0] is not None:
            connection.execute(
                update(tables.outbox)
                .where(
                    text(tables.PENDING),
                    _OUTBOX.target_key == target,
                    _OUTBOX.next_attempt_at == row[0],
                )
                .values(next_attempt_at=at)
            )
    return forgotten


def hold_back(connection: Connection, breaker: Breaker, now: datetime) -> None:
    """Have everything that is due for the target wait for the end of the pause."""
    assert breaker.open_until is not None
    _put_off(connection, breaker, to_millis(now), to_millis(breaker.open_until), but=None)


def begin_trial(connection: Connection, breaker: Breaker, now: datetime) -> int | None:
    """The number of the message that may be tried, or None when none is due; the others wait.

    The breaker itself is only changed by `keep`, once that message is claimed.
    """
    query = (
        select(_OUTBOX.number)
        .where(text(tables.PENDING), _OUTBOX.target_key == breaker.target)
        .where(_OUTBOX.next_attempt_at <= to_millis(now))
        .order_by(_OUTBOX.next_attempt_at, _OUTBOX.number)
        .limit(1)
    )
    number = connection.execute(query).scalar()
    until = rules.on_trial(breaker, now).open_until
    if number is not None and until is not None:
        _put_off(connection, breaker, to_millis(now), to_millis(until), but=number)
    return number


def _put_off(
    connection: Connection, breaker: Breaker, now: int, until: int, *, but: int | None
) -> None:
    # Not beyond the expiry, which would then come to nobody's notice.
    sooner = case((_OUTBOX.expires_at < until, _OUTBOX.expires_at), else_=until)
    statement = (
        update(tables.outbox)
        .where(text(tables.PENDING), _OUTBOX.target_key == breaker.target)
        .where(_OUTBOX.next_attempt_at <= now)
        .values(next_attempt_at=sooner, last_error=maybe_storable(breaker.sentence()))
    )
    if but is not None:
        statement = statement.where(_OUTBOX.number != but)
    connection.execute(statement)


def _columns(breaker: Breaker) -> Columns:
    return {
        "target": storable(breaker.target),
        "state": breaker.state.value,
        "open_until": millis(breaker.open_until),
        "changed_at": to_millis(breaker.changed_at),
        "data": dumped(
            {
                "label": breaker.label,
                "opened": breaker.opened,
                "failing_since": millis(breaker.failing_since),
                "consecutive": breaker.consecutive,
                "tries": [[to_millis(at), int(good)] for at, good in breaker.tries],
                "error": maybe_storable(breaker.error),
                "address": breaker.address,
            }
        ),
    }


def _to_breaker(row: Row) -> Breaker:
    data = loaded(row["data"])
    return Breaker(
        target=row["target"],
        label=data["label"],
        state=BreakerState(row["state"]),
        changed_at=from_millis(row["changed_at"]),
        open_until=instant(row["open_until"]),
        opened=data["opened"],
        failing_since=instant(data["failing_since"]),
        consecutive=data["consecutive"],
        tries=tuple((from_millis(at), bool(good)) for at, good in data["tries"]),
        error=data["error"],
        address=data["address"],
    )
