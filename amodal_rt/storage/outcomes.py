"""How a running run leaves: with an outcome and what it owes, or back to the queue."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, select, text, update

from amodal_rt.clock import iso, to_millis
from amodal_rt.domain.delivery import FailureState, Plan
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.run import Run, RunStatus, Usage, require_next
from amodal_rt.storage import failures, journal, tables
from amodal_rt.storage.part import Part
from amodal_rt.storage.rows import (
    Columns,
    dumped,
    maybe_dumped,
    maybe_storable,
    storable,
    to_usage,
)

_RUNS = tables.runs.c


class OutcomeRows(Part):
    """`finish` and `park` of `ports.RunLedger`."""

    async def finish(
        self,
        run: Run,
        outcome: Outcome,
        *,
        at: datetime,
        plan: Callable[[FailureState], Plan],
        retry_at: datetime | None = None,
    ) -> bool:
        require_next(RunStatus.RUNNING, outcome.status)
        texts = _result_columns(outcome, at)

        def work(connection: Connection) -> bool:
            before = _held_usage(connection, run)
            if before is None:
                return False
            usage = _added(before, outcome.usage)
            spent = _usage_columns(usage)
            if retry_at is not None:
                _retry(connection, run, outcome, spent, at, retry_at)
                self._admission.grew()
                return True
            _change(connection, run, texts | spent)
            if not (run.rehearse or outcome.rehearsed):
                _count(connection, run.automation, outcome)
            planned = failures.commit_plan(connection, run.automation, plan)
            for note in planned.notes:
                journal.append(
                    connection,
                    run.run_id,
                    EntryType.RUN_NOTE,
                    at=at,
                    attempt=run.attempt,
                    data={"note": note},
                )
            journal.append(
                connection,
                run.run_id,
                EntryType.RUN_FINISHED,
                at=at,
                attempt=run.attempt,
                data=_finished(outcome, usage),
            )
            return True

        return await self._database.write(work)

    async def park(self, run: Run, waiting: Waiting, *, at: datetime) -> bool:
        def work(connection: Connection) -> bool:
            if _held_usage(connection, run) is None:
                return False
            parked: Columns = {"status": RunStatus.PENDING.value, "reason": waiting.reason}
            _change(connection, run, parked)
            self._admission.grew()
            journal.append(
                connection,
                run.run_id,
                EntryType.RUN_NOTE,
                at=at,
                attempt=run.attempt,
                data={"note": f"waits: {waiting.reason}"},
            )
            return True

        return await self._database.write(work)


def _held_usage(connection: Connection, run: Run) -> Usage | None:
    """What the run consumed before, or None when it no longer runs under this term."""
    query = select(_RUNS.input_tokens, _RUNS.output_tokens, _RUNS.turns, _RUNS.cost_usd).where(
        _RUNS.id == run.run_id, _RUNS.term == run.term, text(tables.RUNNING)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else to_usage(row)


def _change(connection: Connection, run: Run, changed: Columns) -> None:
    connection.execute(update(tables.runs).where(_RUNS.id == run.run_id).values(**changed))


def _retry(
    connection: Connection,
    run: Run,
    outcome: Outcome,
    spent: Columns,
    at: datetime,
    retry_at: datetime,
) -> None:
    again: Columns = {
        "status": RunStatus.PENDING.value,
        "attempt": _RUNS.attempt + 1,
        "not_before": to_millis(retry_at),
        "error": maybe_storable(outcome.error),
    }
    _change(connection, run, again | spent)
    journal.append(
        connection,
        run.run_id,
        EntryType.RUN_RETRIED,
        at=at,
        attempt=run.attempt,
        data={
            "reason": outcome.reason,
            "error": outcome.error,
            "retry_at": iso(retry_at),
        },
    )


def _count(connection: Connection, automation: str, outcome: Outcome) -> None:
    """Move the failure counter. Not for a rehearsal, which says nothing about the automation."""
    if outcome.status is RunStatus.FAILED:
        failures.count_failure(connection, automation)
    elif outcome.status is RunStatus.COMPLETED:
        failures.count_success(connection, automation)


def _result_columns(outcome: Outcome, at: datetime) -> Columns:
    return {
        "status": outcome.status.value,
        "reason": outcome.reason,
        "error": maybe_storable(outcome.error),
        "finished_at": to_millis(at),
        "model": maybe_storable(outcome.model),
        "rehearsed": int(outcome.rehearsed),
        "result_text": maybe_storable(outcome.text),
        "result_payload": maybe_dumped(outcome.payload),
        "output": dumped([storable(label) for label in outcome.output]),
    }


def _usage_columns(usage: Usage) -> Columns:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "turns": usage.turns,
        "cost_usd": usage.cost_usd,
    }


def _finished(outcome: Outcome, usage: Usage) -> dict[str, object]:
    data: dict[str, object] = {
        "status": outcome.status.value,
        "reason": outcome.reason,
        "error": outcome.error,
        "model": outcome.model,
        "usage": usage.document(),
        "output": list(outcome.output),
    }
    return data | ({"notes": dict(outcome.notes)} if outcome.notes else {})


def _added(before: Usage, more: Usage) -> Usage:
    costs = [cost for cost in (before.cost_usd, more.cost_usd) if cost is not None]
    return Usage(
        input_tokens=before.input_tokens + more.input_tokens,
        output_tokens=before.output_tokens + more.output_tokens,
        turns=before.turns + more.turns,
        cost_usd=sum(costs) if costs else None,
    )
