"""The ledger's ruling on wishes for runs. Frequent, so it speaks to the driver itself."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from operator import itemgetter

from amodal_rt.clock import to_millis
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.run import RunStatus, SkippedReason, Start
from amodal_rt.ports import RunRef
from amodal_rt.storage import tables
from amodal_rt.storage.rows import Columns, inserting, start_columns

# fmt: off
_COLUMNS = (
    "id", "automation", "title", "trigger", "status", "reason", "rule", "definition",
    "event_id", "payload", "scheduled_for", "scheduled_until", "schedule_key", "count", "depth",
    "requester", "actor", "door", "conversation_key", "idempotency_key", "rehearse",
    "concurrency", "on_limit", "starts_per_hour", "created_at",
)
# fmt: on
_INSERT_RUN = inserting(tables.runs, _COLUMNS)
_in_order = itemgetter(*_COLUMNS)
_TAKE_SLOT = (
    "INSERT INTO occurrences (automation, scheduled_for, run_id) VALUES (?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
_GIVE_SLOT = "UPDATE occurrences SET run_id = ? WHERE automation = ? AND scheduled_for = ?"
_RULED_ON = (
    "UPDATE schedule_states SET last_slot = ?1"
    " WHERE automation = ?2 AND key = ?3 AND (last_slot IS NULL OR last_slot < ?1)"
)
_HOLDS_A_SLOT = f"{tables.OPEN} AND reason IS NULL"
_OPEN_OF_ONE = (
    "SELECT COUNT(*) FROM"  # noqa: S608  all constants
    f" (SELECT 1 FROM runs WHERE automation = ? AND {_HOLDS_A_SLOT} LIMIT ?)"
)
_OPEN_OF_ALL = f"SELECT automation, COUNT(*) FROM runs WHERE {_HOLDS_A_SLOT} GROUP BY automation"  # noqa: S608
_NTH_NEWEST = (
    f"SELECT created_at FROM runs WHERE automation = ? AND {tables.NOT_SKIPPED}"  # noqa: S608
    " ORDER BY number DESC LIMIT 1 OFFSET ?"
)
_LATEST_SLOT = (
    "SELECT id, status, reason, COALESCE(scheduled_until, scheduled_for) FROM runs"
    " WHERE automation = ? AND scheduled_for IS NOT NULL ORDER BY number DESC LIMIT 1"
)
_EXTEND = "UPDATE runs SET scheduled_until = ?, count = count + ? WHERE id = ?"
_HOUR = int(timedelta(hours=1) / timedelta(milliseconds=1))
_FEW = 20
"""Up to this many automations are counted one by one, more of them all at once."""


class Admission:
    """Rules on starts within a transaction. Belongs to the writer's thread."""

    def __init__(self) -> None:
        self._pending_at_most: int | None = None

    def grew(self, runs: int = 1) -> None:
        """Say that runs became pending elsewhere, so that the bound stays one."""
        if self._pending_at_most is not None:
            self._pending_at_most += runs

    def is_full(self, raw: sqlite3.Connection, limit: int) -> bool:
        """Whether `limit` runs are pending.

        Counting ten thousand rows for every event would be the dearest part of accepting
        it: they are counted again only when a bound that never shrinks reaches the limit.
        """
        if self._pending_at_most is None or self._pending_at_most >= limit:
            count = f"SELECT COUNT(*) FROM runs WHERE {tables.PENDING}"  # noqa: S608
            self._pending_at_most = int(raw.execute(count).fetchone()[0])
        return self._pending_at_most >= limit

    def rule(self, raw: sqlite3.Connection, wishes: Sequence["Wish"]) -> list[RunRef]:
        """Write the rows that `RunLedger.admit` promises, and say what they are."""
        sitting = _Sitting(raw, _open_runs(raw, wishes))
        refs = [ref for wish in wishes if (ref := sitting.rule(wish)) is not None]
        sitting.write()
        self.grew(sum(ref.status is RunStatus.PENDING for ref in refs))
        return refs


@dataclass(frozen=True, slots=True)
class Wish:
    """A start with its columns, made outside the writer's thread."""

    start: Start
    columns: Columns


def wishes(starts: Sequence[Start]) -> list[Wish]:
    """The starts, ready for `Admission.rule`."""
    return [Wish(start, start_columns(start)) for start in starts]


def _counted(start: Start) -> bool:
    """Whether the number of open runs decides over it."""
    return start.skip is None and start.on_limit is OnLimit.SKIP


def _open_runs(raw: sqlite3.Connection, wishes: Sequence[Wish]) -> dict[str, int]:
    """Open runs that hold or want a slot, by automation; at least up to the limits asked about."""
    limits: dict[str, int] = {}
    for start in (wish.start for wish in wishes if _counted(wish.start)):
        limits[start.automation] = max(limits.get(start.automation, 0), start.concurrency)
    if len(limits) > _FEW:
        return dict(raw.execute(_OPEN_OF_ALL).fetchall())
    return {
        automation: raw.execute(_OPEN_OF_ONE, (automation, limit)).fetchone()[0]
        for automation, limit in limits.items()
    }


@dataclass(slots=True)
class _Sitting:
    """One call of `rule`: rows wait to be written together until a question needs them."""

    raw: sqlite3.Connection
    open_runs: dict[str, int]
    rows: list[Mapping[str, object]] = field(default_factory=list[Mapping[str, object]])

    def rule(self, wish: Wish) -> RunRef | None:
        start, columns = wish.start, wish.columns
        if start.scheduled_for is not None and not self._take_slot(columns):
            return None
        reason, rule = self._reason(start)
        if reason is None:
            if start.scheduled_for is not None or _counted(start):
                self.open_runs[start.automation] = self.open_runs.get(start.automation, 0) + 1
            self.rows.append(columns)
            return RunRef(
                run_id=start.run_id, automation=start.automation, status=RunStatus.PENDING
            )
        if start.scheduled_for is not None and (extended := self._extend(columns, reason)):
            return _skipped(extended, start.automation, reason)
        # A copy: after a rollback the same wish is ruled on again, perhaps otherwise.
        self.rows.append(columns | {"status": "skipped", "reason": reason.value, "rule": rule})
        return _skipped(start.run_id, start.automation, reason)

    def write(self) -> None:
        if self.rows:
            self.raw.executemany(_INSERT_RUN, map(_in_order, self.rows))
            self.rows = []

    def _take_slot(self, columns: Columns) -> bool:
        slot = (columns["automation"], columns["scheduled_for"], columns["id"])
        if self.raw.execute(_TAKE_SLOT, slot).rowcount == 0:
            return False
        until = columns["scheduled_until"] or columns["scheduled_for"]
        if until != columns["scheduled_for"]:
            self.raw.execute(_TAKE_SLOT, (columns["automation"], until, columns["id"]))
        # A crash before the scheduler notes how far it came must not have it ask again
        # for a longer stretch that begins with a slot already taken.
        key = columns["schedule_key"]
        if key is not None:
            self.raw.execute(_RULED_ON, (until, columns["automation"], key))
        return True

    def _reason(self, start: Start) -> tuple[SkippedReason | None, str | None]:
        if start.skip is not None:
            return start.skip, start.rule
        if _counted(start) and self.open_runs.get(start.automation, 0) >= start.concurrency:
            return SkippedReason.CONCURRENCY_LIMIT, f"limits.concurrency {start.concurrency}"
        if start.starts_per_hour is not None and self._is_too_often(start, start.starts_per_hour):
            return SkippedReason.RATE_LIMIT, f"limits.startsPerHour {start.starts_per_hour}"
        return None, start.rule

    def _is_too_often(self, start: Start, limit: int) -> bool:
        """Whether the hour before this start already has `limit` others."""
        if limit <= 0:
            return True
        self.write()
        found = self.raw.execute(_NTH_NEWEST, (start.automation, limit - 1)).fetchone()
        return found is not None and found[0] > to_millis(start.created_at) - _HOUR

    def _extend(self, columns: Columns, reason: SkippedReason) -> str | None:
        """The id of the skipped row that this slot was added to, or None."""
        self.write()
        automation, slot = columns["automation"], columns["scheduled_for"]
        found = self.raw.execute(_LATEST_SLOT, (automation,)).fetchone()
        if found is None or (found[1], found[2]) != ("skipped", reason.value) or found[3] >= slot:
            return None
        until = columns["scheduled_until"] or slot
        self.raw.execute(_EXTEND, (until, columns["count"], found[0]))
        self.raw.execute(_GIVE_SLOT, (found[0], automation, slot))
        self.raw.execute(_GIVE_SLOT, (found[0], automation, until))
        return str(found[0])


def _skipped(run_id: str, automation: str, reason: SkippedReason) -> RunRef:
    return RunRef(
        run_id=run_id, automation=automation, status=RunStatus.SKIPPED, reason=reason.value
    )
