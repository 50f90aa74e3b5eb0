"""What pending runs wait for, by the rules of the claim itself."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from amodal_rt.clock import from_millis
from amodal_rt.domain.wait import Wait, WaitReason
from amodal_rt.ports import CanRun
from amodal_rt.storage import tables
from amodal_rt.storage.claiming import HEAD, Turns, in_line
from amodal_rt.storage.dialect import Listed, Raw

_PENDING = (
    "SELECT id, number, automation, concurrency, conversation_key, order_key, not_before,"  # noqa: S608
    " coalesce_key, started_at, reason, rehearse FROM runs"
    f" WHERE {tables.PENDING} AND id IN (SELECT value FROM json_each(?))"
)
_RUNNING = (
    "SELECT id, conversation_key FROM runs INDEXED BY runs_running"  # noqa: S608
    f" WHERE {tables.RUNNING} AND automation = ? ORDER BY number"
)
_WAITING = (
    "SELECT id, number, conversation_key FROM runs INDEXED BY runs_waiting"  # noqa: S608
    f" WHERE {tables.PENDING} AND automation = ? ORDER BY number"
)


class _Row(NamedTuple):
    id: str
    number: int
    automation: str
    concurrency: int
    conversation_key: str | None
    order_key: str | None
    not_before: int | None
    coalesce_key: str | None
    started_at: int | None
    reason: str | None
    rehearse: int


def waits(
    raw: Raw,
    run_ids: Sequence[str],
    overall: int,
    now: int,
    turns: Turns,
    can_run: CanRun | None = None,
) -> dict[str, Wait]:
    """What each of these runs waits for; nothing of one that is not pending."""
    rows = [_Row(*row) for row in raw.execute(_PENDING, (Listed(list(run_ids)),)).fetchall()]
    if not rows:
        return {}
    queue = _Queue(raw, overall, now, turns, can_run)
    return {row.id: queue.wait_of(row) for row in rows}


class _Queue:
    """The queue as the next claim would find it."""

    def __init__(
        self, raw: Raw, overall: int, now: int, turns: Turns, can_run: CanRun | None
    ) -> None:
        self._raw = raw
        self._overall = overall
        self._now = now
        self._can_run = can_run
        self._next, self._held = map(frozenset, in_line(raw, overall, now, turns, can_run))

    def wait_of(self, row: _Row) -> Wait:
        """The first reason that holds."""
        if row.number in self._next:
            return Wait(reason=WaitReason.NEXT)
        if row.number in self._held:
            return Wait(reason=WaitReason.GLOBAL_LIMIT, limit=self._overall)
        return self._outside(row) or self._for_others(row)

    def _outside(self, row: _Row) -> Wait | None:
        """What keeps the run from its place in the line."""
        is_due = row.not_before is not None and row.not_before <= self._now
        if row.reason is not None and not is_due:
            until = None if row.not_before is None else from_millis(row.not_before)
            return Wait(reason=WaitReason.PARKED, until=until)
        if self._can_run is not None and not self._can_run(row.automation, bool(row.rehearse)):
            return Wait(reason=WaitReason.INVALID)
        if row.not_before is None or row.not_before <= self._now:
            return None
        joins = row.coalesce_key is not None and row.started_at is None
        reason = WaitReason.COALESCE if joins else WaitReason.NOT_DUE
        return Wait(reason=reason, until=from_millis(row.not_before))

    def _for_others(self, row: _Row) -> Wait:
        running = self._raw.execute(_RUNNING, (row.automation,)).fetchall()
        if row.conversation_key is not None:
            spoken = [id for id, key in running if key == row.conversation_key]
            if first := spoken or self._first_of(row):
                return Wait(reason=WaitReason.CONVERSATION, runs=(first[0],))
        first = [id for id, _ in running]
        left = max(0, row.concurrency - len(first))
        first += islice((id for id, _ in self._ahead(row)), left)
        return Wait(reason=WaitReason.CONCURRENCY_LIMIT, runs=tuple(first), limit=row.concurrency)

    def _first_of(self, row: _Row) -> list[str]:
        """The pending run of its conversation that goes first, if one does."""
        found = [id for id, key in self._ahead(row) if key == row.conversation_key][:1]
        if found or row.order_key is None:
            return found
        key = (row.automation, row.conversation_key, self._now)
        head: Any = self._raw.execute(HEAD, key).fetchone()
        return [str(head[2])] if head and head[0] != row.number else []

    def _ahead(self, row: _Row) -> Iterator[tuple[str, str | None]]:
        """The runs of its automation that stand in the line, oldest first, with what they are
        a conversation of."""
        for id, number, key in self._raw.execute(_WAITING, (row.automation,)):
            if number in self._next or number in self._held:
                yield str(id), key
