"""The ledger's ruling on wishes for runs. Frequent, so it speaks to the driver itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from amodal_rt.clock import AHEAD, to_millis
from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.run import Coalesce, RunStatus, SkippedReason, Start
from amodal_rt.ports import RunRef
from amodal_rt.storage import keyed, tables
from amodal_rt.storage.bulk import Insert
from amodal_rt.storage.dialect import Listed, Raw
from amodal_rt.storage.rows import START_COLUMNS, StartRow, maybe_storable, slot_of, start_row

_RUNS = Insert(tables.runs, ("status", "reason", "rule", *START_COLUMNS))
_SLOTS = Insert(
    tables.occurrences, ("automation", "scheduled_for", "run_id"), rule="ON CONFLICT DO NOTHING"
)
_GIVE_SLOT = "UPDATE occurrences SET run_id = ? WHERE automation = ? AND scheduled_for = ?"
_RULED_ON = (
    "UPDATE schedule_states SET last_slot = ?1"
    " WHERE automation = ?2 AND key = ?3 AND (last_slot IS NULL OR last_slot < ?1)"
)
_LAST_SLOT = "SELECT last_slot FROM schedule_states WHERE automation = ? AND key = ?"
# What waits for its window or its next attempt holds no slot, and asks for none before then.
_WANTS_A_SLOT = (
    f"{tables.PENDING} AND reason IS NULL AND (not_before IS NULL OR not_before <= {{}})"
)
_DUE_OF_ONE, _DUE_OF_ALL = _WANTS_A_SLOT.format("?3"), _WANTS_A_SLOT.format("?")
# Named indexes: by its name alone an automation's whole history would be counted through.
_OPEN_OF_ONE = (
    "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM runs INDEXED BY runs_waiting"  # noqa: S608
    f" WHERE automation = ?1 AND {_DUE_OF_ONE} LIMIT ?2) AS waiting)"
    " + (SELECT COUNT(*) FROM runs INDEXED BY runs_running"
    f" WHERE automation = ?1 AND {tables.RUNNING})"
)
_OPEN_OF_ALL = (
    "SELECT automation, COUNT(*) FROM ("  # noqa: S608  all constants
    f"SELECT automation FROM runs INDEXED BY runs_pending WHERE {_DUE_OF_ALL} UNION ALL "
    f"SELECT automation FROM runs INDEXED BY runs_running WHERE {tables.RUNNING}"
    ") AS open GROUP BY automation"
)
_NTH_NEWEST = (
    f"SELECT created_at FROM runs WHERE automation = ? AND {tables.NOT_SKIPPED}"  # noqa: S608
    " AND created_at <= ? ORDER BY number DESC LIMIT 1 OFFSET ?"
)
_NTH_NEWEST_BUT = (
    f"SELECT created_at FROM runs WHERE automation = ? AND {tables.NOT_SKIPPED}"  # noqa: S608
    " AND id NOT IN (SELECT value FROM json_each(?))"
    " AND created_at <= ? ORDER BY number DESC LIMIT 1 OFFSET ?"
)
_LATEST_SLOT = (
    "SELECT id, COALESCE(scheduled_until, scheduled_for), status, reason, rule, definition"
    " FROM runs WHERE automation = ? AND scheduled_for IS NOT NULL"
    " AND COALESCE(schedule_key, '') = ? ORDER BY number DESC LIMIT 1"
)
_BETWEEN = (
    "SELECT 1 FROM occurrences INNER JOIN runs ON runs.id = occurrences.run_id"
    " WHERE occurrences.automation = ? AND occurrences.scheduled_for > ?"
    " AND occurrences.scheduled_for < ? AND COALESCE(runs.schedule_key, '') = ? LIMIT 1"
)
_EXTEND = "UPDATE runs SET scheduled_until = ?, count = count + ? WHERE id = ?"
_WAITING = f"SELECT COUNT(*) FROM runs WHERE {tables.PENDING}"  # noqa: S608
_NEWEST = "SELECT COALESCE(MAX(number), 0) FROM runs"
_OPEN_AND_NEWEST = (
    f"SELECT (SELECT COUNT(*) FROM runs WHERE {tables.PENDING})"  # noqa: S608  all constants
    f" + (SELECT COUNT(*) FROM runs WHERE {tables.RUNNING}), ({_NEWEST})"
)
_HOUR = int(timedelta(hours=1) / timedelta(milliseconds=1))
_AHEAD = int(AHEAD / timedelta(milliseconds=1))
_PENDING, _SKIPPED = RunStatus.PENDING.value, RunStatus.SKIPPED.value
_FEW = 20
"""Up to this many automations are counted one by one, more of them all at once."""


class Admission:
    """Rules on starts within a transaction. Belongs to the writer's thread."""

    def __init__(self, *, shared: bool = False) -> None:
        """`shared` when other processes add runs too."""
        self._shared = shared
        self._counted: tuple[int, int] | None = None
        self._pending_at_most: int | None = None

    def grew(self, runs: int = 1) -> None:
        """Say that runs became pending elsewhere, so that the bound stays one."""
        if self._pending_at_most is not None:
            self._pending_at_most += runs

    def is_full(self, sitting: "Sitting", limit: int) -> bool:
        """Whether `limit` runs are pending, those of `sitting` included.

        Counting ten thousand rows for every event would be the dearest part of accepting
        it: they are counted again only when a bound that never shrinks reaches the limit.
        """
        if self._pending_at_most is None or self._pending_at_most >= limit:
            sitting.write()
            self._pending_at_most = int(sitting.raw.execute(_WAITING).fetchone()[0])
            if self._shared:
                self._counted = sitting.raw.execute(_OPEN_AND_NEWEST).fetchone()
        return self._pending_at_most >= limit

    def _bound(self, raw: Raw) -> int | None:
        """What may be pending where others add runs too: all that was or could come back at
        the last count, and every row since."""
        if self._counted is None:
            return None
        counted, newest = self._counted
        # Of a count that was rolled back the newest are gone.
        return counted + max(0, int(raw.execute(_NEWEST).fetchone()[0]) - newest)

    def sit(self, raw: Raw, wishes: Sequence["Wish"]) -> "Sitting":
        """Begin to rule on (some of) `wishes`, in their order."""
        if self._shared:
            self._pending_at_most = self._bound(raw)
        return Sitting(self, raw, _open_runs(raw, wishes), _take_all_slots(raw, wishes))

    def rule(self, raw: Raw, wishes: Sequence["Wish"]) -> list[RunRef]:
        """Write the rows that `RunLedger.admit` promises, and say what they are."""
        sitting = self.sit(raw, wishes)
        refs = sitting.rule_on(wishes)
        sitting.write()
        return refs


class Wish(NamedTuple):
    """A start with its row, made outside the writer's thread. `slot` is in milliseconds."""

    start: Start
    row: StartRow
    slot: int | None
    until: int | None


def wishes(starts: Sequence[Start]) -> list[Wish]:
    """The starts, ready for `Admission.rule`."""
    return [_wish(start) for start in starts]


def _wish(start: Start) -> Wish:
    row = start_row(start)
    return Wish(start, row, *slot_of(row))


class Expected:
    """Rows of starts that are due at one instant, made before it: ten thousand would be made while
    all of them are late."""

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._made: dict[str, Wish] = {}

    def add(self, starts: Sequence[Start]) -> None:
        """Make theirs. What is left of another instant goes: nobody will ask for it."""
        for start in starts:
            if start.scheduled_for != self._at:
                self._at, self._made = start.scheduled_for, {}
            self._made[start.run_id] = _wish(start)

    def take(self, starts: Sequence[Start]) -> list[Wish]:
        """As `wishes`, with the rows that are made already."""
        made = self._made
        if not made:
            return wishes(starts)
        found: list[Wish] = []
        for start in starts:
            wish = made.pop(start.run_id, None)
            # A start that was changed since has another row.
            found.append(wish if wish is not None and wish.start is start else _wish(start))
        return found


def _counted(start: Start) -> bool:
    """Whether the number of open runs decides over it."""
    return start.skip is None and start.on_limit is OnLimit.SKIP


def _open_runs(raw: Raw, wishes: Sequence[Wish]) -> dict[str, int]:
    """Open runs that hold or want a slot, by automation; at least up to the limits asked about."""
    limits: dict[str, int] = {}
    now = max((to_millis(wish.start.created_at) for wish in wishes), default=0)
    for start in (wish.start for wish in wishes if _counted(wish.start)):
        # One of those that wait may become one with it.
        limit = start.concurrency + (start.coalesce is not None)
        limits[start.automation] = max(limits.get(start.automation, 0), limit)
    if len(limits) > _FEW:
        return dict(raw.execute(_OPEN_OF_ALL, (now,)).fetchall())
    return {
        automation: raw.execute(_OPEN_OF_ONE, (automation, limit, now)).fetchone()[0]
        for automation, limit in limits.items()
    }


def _take_all_slots(raw: Raw, wishes: Sequence[Wish]) -> bool:
    """Take every slot at once, as when ten thousand are due; False when one was taken before."""
    slots = [
        (wish.start.automation, wish.slot, wish.start.run_id)
        for wish in wishes
        if wish.slot is not None
    ]
    if len(slots) <= _FEW:
        return False
    raw.execute("SAVEPOINT slots")
    taken = _SLOTS.send(raw, slots) == len(slots)
    if not taken:
        raw.execute("ROLLBACK TO slots")
    raw.execute("RELEASE slots")
    return taken


@dataclass(slots=True)
class Sitting:
    """Rulings of one moment: rows wait to be written together until a question needs them.

    Nothing is complete before the last `write`.
    """

    admission: Admission
    raw: Raw
    open_runs: dict[str, int]
    has_slots: bool
    rows: list[StartRow] = field(default_factory=list[Any])
    ruled_on: list[tuple[int, str, str]] = field(default_factory=list[Any])
    refused: dict[tuple[str, str | None], float] = field(default_factory=dict[Any, Any])
    """Schedules of which a slot was taken already, and up to where all of theirs are."""
    keys: dict[tuple[str, str], str] = field(default_factory=dict[Any, Any])
    """Idempotency keys of an automation that this sitting gave away, and to which run."""

    def rule_on(self, wishes: Sequence[Wish]) -> list[RunRef]:
        """What becomes of each wish; one whose slot was ruled on before is left out."""
        refs = [ref for wish in wishes if (ref := self._rule(wish)) is not None]
        self.admission.grew(sum(ref.status is RunStatus.PENDING for ref in refs))
        return refs

    def write(self) -> None:
        """Send what waits."""
        if self.rows:
            _RUNS.send(self.raw, self.rows)
            self.rows = []
        if self.ruled_on:
            self.raw.executemany(_RULED_ON, self.ruled_on)
            self.ruled_on = []

    def foretell(self, start: Start) -> tuple[SkippedReason, str | None] | None:
        """What would rule out a start without a slot; None where it would be pending."""
        if start.coalesce is None or start.skip is not None:
            reason, rule = self._reason(start)
        else:
            reason, rule, *_ = self._reason_of_many(start, start.coalesce)
        return None if reason is None else (reason, rule)

    def _rule(self, wish: Wish) -> RunRef | None:
        start = wish.start
        if wish.slot is not None and not self._take_slot(wish):
            self._refuse(wish)
            return None
        others, newer = keyed.NOBODY, None
        if start.coalesce is None or start.skip is not None:
            reason, rule = self._reason(start)
        else:
            reason, rule, others, newer = self._reason_of_many(start, start.coalesce)
        if newer is not None:
            keyed.join(self.raw, newer)
        if reason is None:
            self.open_runs[start.automation] = self.open_runs.get(start.automation, 0) + 1
            self.rows.append((_PENDING, None, rule, *wish.row))
            if start.coalesce is not None:
                self._take_place(start, start.coalesce, others)
            elif start.idempotency_key is not None:
                self.keys[start.automation, start.idempotency_key] = start.run_id
            return RunRef(
                run_id=start.run_id, automation=start.automation, status=RunStatus.PENDING
            )
        if wish.slot is not None and (extended := self._extend(wish, reason, rule)):
            return _skipped(extended, start.automation, reason)
        self.rows.append((_SKIPPED, reason.value, rule, *wish.row))
        return _skipped(start.run_id, start.automation, reason)

    def _take_slot(self, wish: Wish) -> bool:
        start, until = wish.start, wish.until
        if self.refused and wish.slot is not None:
            refused = self.refused.get((start.automation, start.schedule_key), -1)
            if wish.slot <= refused:
                return False
        if not self.has_slots:
            slot = (start.automation, wish.slot, start.run_id)
            if _SLOTS.send(self.raw, [slot]) == 0:
                return False
        if until != wish.slot:
            _SLOTS.send(self.raw, [(start.automation, until, start.run_id)])
        # A crash before the scheduler notes how far it came must not have it ask again
        # for a longer stretch that begins with a slot already taken.
        if start.schedule_key is not None and until is not None:
            self.ruled_on.append((until, start.automation, start.schedule_key))
        return True

    def _refuse(self, wish: Wish) -> None:
        """Rule on later slots of the schedule as others ruled: what lies within a stretch of
        theirs has no row of its own, and what follows one of ours must not come on record
        without the rest of it."""
        key = (wish.start.automation, wish.start.schedule_key)
        if wish.until != wish.slot:
            self.refused[key] = float("inf")
        elif key not in self.refused:
            found = self.raw.execute(_LAST_SLOT, key).fetchone()
            self.refused[key] = -1 if found is None or found[0] is None else found[0]

    def _reason(
        self, start: Start, others: keyed.Superseded = keyed.NOBODY
    ) -> tuple[SkippedReason | None, str | None]:
        """Why the start is ruled out; it would take the place of `others`."""
        if start.skip is not None:
            return start.skip, maybe_storable(start.rule)
        if start.idempotency_key is not None and (first := self._taken(start)):
            return SkippedReason.DUPLICATE, f"idempotencyKey: the first is {first}"
        if start.order_key is not None and (later := keyed.overtaking(self.raw, start)):
            return SkippedReason.STALE, f"conversationKey: {later} is newer and has begun"
        if _counted(start) and self._open_but(start, others) >= start.concurrency:
            return SkippedReason.CONCURRENCY_LIMIT, f"limits.concurrency {start.concurrency}"
        limit = start.starts_per_hour
        if limit is not None and self._is_too_often(start, limit, others):
            return SkippedReason.RATE_LIMIT, f"limits.startsPerHour {start.starts_per_hour}"
        return None, maybe_storable(start.rule)

    def _reason_of_many(
        self, start: Start, rule: Coalesce
    ) -> tuple[SkippedReason | None, str | None, keyed.Superseded, str | None]:
        """The same of a start that becomes one with those that wait, and who they are; last the
        one of them that it joins because that is newer."""
        self.write()
        others, newer = keyed.waiting(self.raw, start, rule.key)
        reason, words = self._reason(start, others)
        known = reason in (SkippedReason.DUPLICATE, SkippedReason.STALE)
        if newer is None or known:
            return reason, words, others, None
        return SkippedReason.COALESCED, f"coalesced into {newer}", others, newer

    def _take_place(self, start: Start, rule: Coalesce, others: keyed.Superseded) -> None:
        self.write()
        is_due = keyed.take_place(self.raw, start, rule, others)
        self.open_runs[start.automation] -= others.due + (not is_due)

    def _taken(self, start: Start) -> str | None:
        """The run that took the idempotency key of this start, or None."""
        key = start.idempotency_key or ""
        return self.keys.get((start.automation, key)) or keyed.taken(self.raw, start, key)

    def _open_but(self, start: Start, others: keyed.Superseded) -> int:
        return self.open_runs.get(start.automation, 0) - others.due

    def _is_too_often(self, start: Start, limit: int, others: keyed.Superseded) -> bool:
        """Whether the hour before this start already has `limit` runs beside `others`."""
        if limit <= 0:
            return True
        self.write()
        now = to_millis(start.created_at)
        # What a clock that was ahead wrote would use up the hour until it is reached again.
        query, asked = _NTH_NEWEST, (start.automation, now + _AHEAD, limit - 1)
        if others.ids:
            query, asked = _NTH_NEWEST_BUT, (asked[0], Listed(others.ids), *asked[1:])
        found = self.raw.execute(query, asked).fetchone()
        return found is not None and found[0] > now - _HOUR

    def _extend(self, wish: Wish, reason: SkippedReason, rule: str | None) -> str | None:
        """The id of the skipped row that this slot was added to, or None."""
        self.write()
        start, slot = wish.start, wish.slot
        key = (start.automation, start.schedule_key or "")
        found = self.raw.execute(_LATEST_SLOT, key).fetchone()
        alike = (_SKIPPED, reason.value, rule, start.definition)
        if found is None or found[1] >= slot or tuple(found[2:]) != alike:
            return None
        # Slots that were ruled on while a clock was ahead may lie between.
        if self.raw.execute(_BETWEEN, (key[0], found[1], slot, key[1])).fetchone():
            return None
        self.raw.execute(_EXTEND, (wish.until, start.count, found[0]))
        self.raw.execute(_GIVE_SLOT, (found[0], start.automation, slot))
        self.raw.execute(_GIVE_SLOT, (found[0], start.automation, wish.until))
        return str(found[0])


def _skipped(run_id: str, automation: str, reason: SkippedReason) -> RunRef:
    return RunRef(
        run_id=run_id, automation=automation, status=RunStatus.SKIPPED, reason=reason.value
    )
