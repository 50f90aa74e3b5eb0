"""Rulings on starts that name a key: what came before, what is too late, what becomes one.

Only such starts are asked about, so that all others cost nothing more.
"""

from dataclasses import dataclass
from datetime import timedelta

from amodal_rt.clock import to_millis
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import Coalesce, RunStatus, SkippedReason, Start
from amodal_rt.ports import IDEMPOTENT_FOR
from amodal_rt.storage import entries, tables
from amodal_rt.storage.dialect import Raw
from amodal_rt.storage.rows import dumped, maybe_storable, storable

_FIRST = (
    "SELECT id FROM runs INDEXED BY runs_idempotent"  # noqa: S608  all constants
    f" WHERE automation = ? AND idempotency_key = ? AND {tables.IDEMPOTENT} AND created_at > ?"
    " ORDER BY created_at LIMIT 1"
)
_LATER = (
    "SELECT id FROM runs INDEXED BY runs_begun"  # noqa: S608  all constants
    f" WHERE automation = ? AND conversation_key = ? AND {tables.BEGUN} AND order_key > ?"
    " ORDER BY order_key DESC LIMIT 1"
)
_WAITING = (
    "SELECT id, order_key, coalesce_since, superseded, attempt, not_before"  # noqa: S608  all constants
    " FROM runs INDEXED BY runs_coalescing"
    f" WHERE automation = ? AND coalesce_key = ? AND {tables.COALESCING}"
    " AND started_at IS NULL ORDER BY number"
)
_ONE_MORE = "UPDATE runs SET superseded = superseded + 1 WHERE id = ?"
_TAKE_PLACE = (
    "UPDATE runs SET coalesce_key = ?, coalesce_since = ?, superseded = ?, not_before = ?"
    " WHERE id = ?"
)
_GIVE_WAY = (
    "UPDATE runs SET status = ?, reason = ?, rule = ?, finished_at = ?"
    " WHERE id = ? AND status = 'pending'"
)
_MILLISECOND = timedelta(milliseconds=1)
_WEEK = IDEMPOTENT_FOR // _MILLISECOND
_SKIPPED, _COALESCED = RunStatus.SKIPPED.value, SkippedReason.COALESCED.value


@dataclass(frozen=True, slots=True)
class Superseded:
    """The pending runs that a start takes the place of: `since` is when the first was made, `due`
    how many of them wait for a slot and no longer for their window."""

    ids: tuple[str, ...] = ()
    attempts: tuple[int, ...] = ()
    since: int | None = None
    count: int = 0
    due: int = 0


NOBODY = Superseded()


def taken(raw: Raw, start: Start, key: str) -> str | None:
    """The run that took the start's idempotency key, or None."""
    after = to_millis(start.created_at) - _WEEK
    found = raw.execute(_FIRST, (start.automation, storable(key), after)).fetchone()
    return None if found is None else str(found[0])


def overtaking(raw: Raw, start: Start) -> str | None:
    """A run of the start's conversation that began though it stands behind it, or None."""
    if start.order_key is None or start.conversation_key is None:
        return None
    key = (start.automation, storable(start.conversation_key), storable(start.order_key))
    found = raw.execute(_LATER, key).fetchone()
    return None if found is None else str(found[0])


def waiting(raw: Raw, start: Start, key: str) -> tuple[Superseded, str | None]:
    """Who waits that the start becomes one with; or the one among them that is newer."""
    rows = raw.execute(_WAITING, (start.automation, storable(key))).fetchall()
    now = to_millis(start.created_at)
    order = maybe_storable(start.order_key)
    if order is not None:
        for run_id, other, *_ in rows:
            if other is not None and other > order:
                return NOBODY, str(run_id)
    if not rows:
        return NOBODY, None
    return Superseded(
        ids=tuple(row[0] for row in rows),
        attempts=tuple(row[4] for row in rows),
        since=min((row[2] for row in rows if row[2] is not None), default=None),
        count=sum(1 + row[3] for row in rows),
        due=sum(row[5] is None or row[5] <= now for row in rows),
    ), None


def join(raw: Raw, run_id: str) -> None:
    """Count one more start that became one with a run that waits."""
    raw.execute(_ONE_MORE, (run_id,))


def take_place(raw: Raw, start: Start, rule: Coalesce, others: Superseded) -> bool:
    """Have a start that was admitted wait, in the place of `others`. Whether its wait is over
    already."""
    now = to_millis(start.created_at)
    # A clock that was ahead must not have it wait from there.
    since = now if others.since is None else min(others.since, now)
    until = min(now + rule.window // _MILLISECOND, since + rule.longest // _MILLISECOND)
    key = storable(rule.key)
    raw.execute(_TAKE_PLACE, (key, since, others.count, max(until, now), start.run_id))
    _end(raw, others, f"coalesced into {start.run_id}", now)
    return until <= now


def _end(raw: Raw, others: Superseded, rule: str, at: int) -> None:
    told = dumped({"status": _SKIPPED, "reason": _COALESCED, "rule": rule})
    for run_id, attempt in zip(others.ids, others.attempts, strict=True):
        raw.execute(_GIVE_WAY, (_SKIPPED, _COALESCED, rule, at, run_id))
        entry = (run_id, EntryType.RUN_FINISHED.value, None, None, attempt, at, told)
        entries.append(raw, entry)
