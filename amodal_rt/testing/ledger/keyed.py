"""Rulings on starts that name a key."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import Run, RunStatus, SkippedReason, Start
from amodal_rt.ports import IDEMPOTENT_FOR
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.store import MemoryStore


def known(store: MemoryStore, start: Start) -> tuple[SkippedReason, str] | None:
    """Why the start comes twice, or too late."""
    if start.idempotency_key is None and start.order_key is None:
        return None
    runs = [store.runs.row(each).run for each in store.runs.of.get(start.automation, {}).values()]
    first = _taken(start, runs)
    if first is not None:
        return SkippedReason.DUPLICATE, f"idempotencyKey: the first is {first.run_id}"
    later = _overtaking(start, runs)
    if later is not None:
        return SkippedReason.STALE, f"conversationKey: {later.run_id} is newer and has begun"
    return None


def _taken(start: Start, runs: Sequence[Run]) -> Run | None:
    key = start.idempotency_key
    return None if key is None else first_of(runs, key, start.created_at)


def first_of(runs: Sequence[Run], key: str, now: datetime) -> Run | None:
    """The run among them that has the idempotency key."""
    after = values.instant(now) - IDEMPOTENT_FOR
    same = (
        run
        for run in runs
        if run.idempotency_key == values.text(key)
        and run.status is not RunStatus.SKIPPED
        and run.created_at > after
    )
    return min(same, key=lambda run: run.created_at, default=None)


def _overtaking(start: Start, runs: Sequence[Run]) -> Run | None:
    order, conversation = values.maybe_text(start.order_key), start.conversation_key
    if order is None or conversation is None:
        return None
    later = (
        run
        for run in runs
        if run.conversation_key == values.text(conversation)
        and run.started_at is not None
        and (run.order_key or "") > order
    )
    return max(later, key=lambda run: run.order_key or "", default=None)


def waiting(store: MemoryStore, start: Start) -> list[Run]:
    """Who waits that the start becomes one with, oldest first."""
    if start.coalesce is None:
        return []
    key = values.text(start.coalesce.key)
    runs = (row.run for row in store.runs.rows(store.runs.pending))
    return [
        run
        for run in runs
        if (run.automation, run.coalesce_key) == (start.automation, key) and run.started_at is None
    ]


def newer(start: Start, others: Sequence[Run]) -> Run | None:
    """The one among them that stands behind the start, though it came first."""
    order = values.maybe_text(start.order_key)
    if order is None:
        return None
    return next((run for run in others if (run.order_key or "") > order), None)


def join(store: MemoryStore, run: Run) -> None:
    """Count one more start that became one with a run that waits."""
    _change(store, run.run_id, superseded=run.superseded + 1)


def take_place(store: MemoryStore, start: Start, others: Sequence[Run]) -> None:
    """Have a start that was admitted wait, in the place of `others`."""
    rule = start.coalesce
    if rule is None:
        return
    now = values.instant(start.created_at)
    since = min([now, *(store.since.get(run.run_id) or now for run in others)])
    store.since.put(start.run_id, since)
    _change(
        store,
        start.run_id,
        coalesce_key=values.text(rule.key),
        superseded=sum(1 + run.superseded for run in others),
        not_before=values.instant(max(min(now + rule.window, since + rule.longest), now)),
    )
    for run in others:
        told = {
            "status": RunStatus.SKIPPED,
            "reason": SkippedReason.COALESCED.value,
            "rule": f"coalesced into {start.run_id}",
        }
        _change(store, run.run_id, **told, finished_at=now)
        data = told | {"status": RunStatus.SKIPPED.value}
        store.append(run.run_id, EntryType.RUN_FINISHED, at=now, attempt=run.attempt, data=data)


def _change(store: MemoryStore, run_id: str, **changed: object) -> None:
    row = store.runs.row(run_id)
    store.runs.put(run_id, replace(row, run=replace(row.run, **changed)))
