"""How a running run leaves: with an outcome and what it owes, or back to the queue; and how
it goes to another node when its own is gone."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection, or_, select, text, update

from amodal_rt.clock import iso, to_millis
from amodal_rt.domain.delivery import FailureState, Plan
from amodal_rt.domain.journal import EntryType, open_approval
from amodal_rt.domain.outcome import GateValue, Outcome, Waiting
from amodal_rt.domain.run import PendingReason, Run, RunStatus, Usage, require_next
from amodal_rt.errors import NotFoundError
from amodal_rt.ports import Caller
from amodal_rt.storage import failures, journal, sealing, tables
from amodal_rt.storage.dialect import driver, upsert
from amodal_rt.storage.part import Part, is_orphaned
from amodal_rt.storage.rows import (
    Columns,
    dumped,
    maybe_dumped,
    maybe_storable,
    millis,
    storable,
    to_run,
    to_usage,
)
from amodal_rt.storage.runs import end_pending

_RUNS = tables.runs.c


class OutcomeRows(Part):
    """`finish`, `park`, `answer`, `requeue`, `resume` and `take_orphans` of `ports.RunLedger`."""

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
            usage = before + outcome.usage
            spent = _usage_columns(usage)
            if outcome.status is RunStatus.SKIPPED:
                _change(connection, run, _skip_columns(outcome, at) | spent)
                _append(connection, run, EntryType.RUN_FINISHED, at, outcome.entry(usage))
                return True
            if retry_at is not None:
                _retry(connection, run, outcome, spent, at, retry_at)
                self._give_back(connection, run, at)
                return True
            _change(connection, run, texts | spent)
            if not (run.rehearse or outcome.rehearsed):
                _count(connection, run.automation, outcome)
            planned = failures.commit_plan(connection, run.automation, plan)
            for note in planned.notes:
                _append(connection, run, EntryType.RUN_NOTE, at, {"note": note})
            told = outcome.entry(usage)
            if outcome.status is RunStatus.COMPLETED:
                told |= _complete(connection, run, outcome, planned)
            _append(connection, run, EntryType.RUN_FINISHED, at, told)
            return True

        return await self._database.write(work)

    async def park(self, run: Run, waiting: Waiting, *, at: datetime) -> bool:
        def work(connection: Connection) -> bool:
            if _held_usage(connection, run) is None:
                return False
            parked: Columns = {
                "status": RunStatus.PENDING.value,
                "reason": waiting.reason,
                "resumes": _RUNS.resumes + 1,
                "not_before": millis(waiting.until),
            }
            _change(connection, run, parked)
            told: Mapping[str, object] = {"reason": waiting.reason, "until": iso(waiting.until)}
            _append(connection, run, EntryType.RUN_WAITING, at, told)
            self._give_back(connection, run, at)
            return True

        return await self._database.write(work)

    async def answer(
        self,
        run_id: str,
        *,
        step: str,
        data: Mapping[str, object],
        at: datetime,
        caller: Caller | None = None,
    ) -> bool:
        def work(connection: Connection) -> bool:
            query = select(_RUNS.status, _RUNS.reason, _RUNS.attempt).where(_RUNS.id == run_id)
            row = connection.execute(query).mappings().first()
            if row is None:
                raise NotFoundError(f"no run {run_id}", code="run_not_found")
            waits = (RunStatus.PENDING.value, PendingReason.AWAITING_APPROVAL.value)
            if (row["status"], row["reason"]) != waits:
                return False
            asked = open_approval(journal.waits_of(connection, run_id))
            if asked is None or asked.step != step:
                return False
            due = update(tables.runs).where(_RUNS.id == run_id).values(not_before=to_millis(at))
            connection.execute(due)
            journal.append(
                connection,
                run_id,
                EntryType.APPROVAL_ANSWERED,
                at=at,
                attempt=row["attempt"],
                step=step,
                data=data,
            )
            if caller is not None:
                told = {"step": step, "approved": data.get("approved")}
                sealing.note(driver(connection), "approval.answered", run_id, caller, at, told)
            self._admission.grew()
            return True

        return await self._database.write(work)

    async def requeue(self, run: Run, *, at: datetime) -> bool:
        return await self._database.write(
            lambda connection: self._begin_again(
                connection, run, at, {}, EntryType.RUN_RETRIED, {"reason": "requeued"}
            )
        )

    async def resume(self, run: Run, *, at: datetime) -> bool:
        raised: Columns = {"resumes": _RUNS.resumes + 1}
        told: Mapping[str, object] = {"attempt": run.attempt + 1, "resumes": run.resumes + 1}
        return await self._database.write(
            lambda connection: self._begin_again(
                connection, run, at, raised, EntryType.RUN_RESUMED, told
            )
        )

    async def take_orphans(self, *, carried: Collection[str] | None = None) -> list[Run]:
        node = self._node
        orphaned = (
            select(_RUNS.number)
            .where(text(tables.RUNNING), is_orphaned(_RUNS.node, node, _RUNS.id, carried))
            .order_by(_RUNS.number)
        )

        def look(connection: Connection) -> list[int]:
            return list(connection.execute(orphaned).scalars())

        def work(connection: Connection) -> list[Run]:
            numbers = look(connection) if self._may_act(connection, node) else []
            if not numbers:
                return []
            connection.execute(
                update(tables.runs)
                .where(_RUNS.number.in_(numbers))
                .values(node=node, term=_RUNS.term + 1)
            )
            query = select(tables.runs).where(_RUNS.number.in_(numbers)).order_by(_RUNS.number)
            return [to_run(row) for row in connection.execute(query).mappings()]

        # Asked every second: what is nearly always in vain must not cost a commit.
        return await self._database.write(work) if await self._database.read(look) else []

    def _begin_again(
        self,
        connection: Connection,
        run: Run,
        at: datetime,
        changed: Columns,
        type: EntryType,
        data: Mapping[str, object],
    ) -> bool:
        if _held_usage(connection, run) is None:
            return False
        pending: Columns = {
            "status": RunStatus.PENDING.value,
            "attempt": _RUNS.attempt + 1,
            "not_before": None,
        }
        _change(connection, run, pending | changed)
        _append(connection, run, type, at, data)
        self._give_back(connection, run, at)
        return True

    def _give_back(self, connection: Connection, run: Run, at: datetime) -> None:
        """Count a run among the pending, unless somebody asked to end it while it ran."""
        asked = select(_RUNS.id).where(_RUNS.id == run.run_id, _RUNS.cancel_asked == 1)
        if connection.execute(asked).first() is None:
            self._admission.grew()
        else:
            rule = "cancelled while it ran"
            end_pending(connection, run.run_id, RunStatus.CANCELLED, None, rule, at)


def _held_usage(connection: Connection, run: Run) -> Usage | None:
    """What the run consumed before, or None when it no longer runs under this term."""
    query = select(_RUNS.input_tokens, _RUNS.output_tokens, _RUNS.turns, _RUNS.cost_usd).where(
        _RUNS.id == run.run_id, _RUNS.term == run.term, text(tables.RUNNING)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else to_usage(row)


def _change(connection: Connection, run: Run, changed: Columns) -> None:
    connection.execute(update(tables.runs).where(_RUNS.id == run.run_id).values(**changed))


def _append(
    connection: Connection, run: Run, type: EntryType, at: datetime, data: Mapping[str, object]
) -> None:
    journal.append(connection, run.run_id, type, at=at, attempt=run.attempt, data=data)


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
    told = {"reason": outcome.reason, "error": outcome.error, "retry_at": iso(retry_at)}
    _append(connection, run, EntryType.RUN_RETRIED, at, told)


def _complete(connection: Connection, run: Run, outcome: Outcome, plan: Plan) -> dict[str, object]:
    """Keep what only a completed run leaves behind; what to say of it in its journal."""
    if outcome.gate is not None and not (run.rehearse or outcome.rehearsed):
        _keep(connection, run, outcome.gate)
    if plan.reason is None:
        return {}
    _change(connection, run, {"reason": plan.reason})
    return {"reason": plan.reason}


def _keep(connection: Connection, run: Run, gate: GateValue) -> None:
    """Make it the last value seen, unless what stands there may be newer."""
    last = tables.gate_values.c
    seen = {"value": storable(gate.value), "run_id": run.run_id, "at": to_millis(gate.until)}
    # What stood there before this run read is older, even where a clock was set back since.
    older = or_(last.run_id == gate.over, last.at < to_millis(gate.since))
    row = upsert(tables.gate_values).values(automation=run.automation, **seen)
    statement = row.on_conflict_do_update(index_elements=["automation"], set_=seen, where=older)
    connection.execute(statement)


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


def _skip_columns(outcome: Outcome, at: datetime) -> Columns:
    """A run that was kept from starting: what stopped it is the rule, and no error."""
    return {
        "status": outcome.status.value,
        "reason": outcome.reason,
        "rule": maybe_storable(outcome.error),
        "started_at": None,
        "finished_at": to_millis(at),
    }


def _usage_columns(usage: Usage) -> Columns:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "turns": usage.turns,
        "cost_usd": usage.cost_usd,
    }
