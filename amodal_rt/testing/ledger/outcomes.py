"""How a running run leaves, and how it goes to another node when its own is gone."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime

from amodal_rt.clock import iso
from amodal_rt.domain.delivery import FailureState, Plan
from amodal_rt.domain.journal import EntryType, open_approval
from amodal_rt.domain.outcome import GateValue, Outcome, Waiting
from amodal_rt.domain.run import PendingReason, Run, RunStatus, require_next
from amodal_rt.ports import Caller
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.failures import FailureRows
from amodal_rt.testing.ledger.runs import RunRows
from amodal_rt.testing.ledger.store import GateRow
from amodal_rt.testing.ledger.tables import RunRow


class OutcomeRows(RunRows, FailureRows):
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

        def work() -> bool:
            row = self._held(run)
            if row is None:
                return False
            if outcome.status is RunStatus.SKIPPED:
                self._skip(row, outcome, at)
                return True
            if retry_at is not None:
                self._retry(row, outcome, at, retry_at)
                return True
            ended = self._ended(row, outcome, at)
            if not (run.rehearse or outcome.rehearsed):
                self._count(run.automation, outcome.status)
            planned = self._commit_plan(run.automation, plan)
            for note in planned.notes:
                self._tell(run, EntryType.RUN_NOTE, at, {"note": note})
            told = outcome.entry(ended.usage)
            if outcome.status is RunStatus.COMPLETED:
                told |= self._complete(run, outcome, planned)
            self._tell(run, EntryType.RUN_FINISHED, at, told)
            return True

        return await self._write("finish", work)

    async def park(self, run: Run, waiting: Waiting, *, at: datetime) -> bool:
        def work() -> bool:
            row = self._held(run)
            if row is None:
                return False
            self._change(
                row,
                status=RunStatus.PENDING,
                reason=waiting.reason,
                resumes=row.run.resumes + 1,
                not_before=values.maybe_instant(waiting.until),
            )
            told = {"reason": waiting.reason, "until": iso(waiting.until)}
            self._tell(run, EntryType.RUN_WAITING, at, told)
            self._give_back(run, at)
            return True

        return await self._write("park", work)

    async def answer(
        self,
        run_id: str,
        *,
        step: str,
        data: Mapping[str, object],
        at: datetime,
        caller: Caller | None = None,
    ) -> bool:
        def work() -> bool:
            row = self._require_run(run_id)
            waits = (RunStatus.PENDING, PendingReason.AWAITING_APPROVAL)
            if (row.run.status, row.run.reason) != waits:
                return False
            asked = open_approval(self.store.entries_of(run_id))
            if asked is None or asked.step != step:
                return False
            self._change(row, not_before=values.instant(at))
            attempt = row.run.attempt
            kind = EntryType.APPROVAL_ANSWERED
            self.store.append(run_id, kind, at=at, attempt=attempt, step=step, data=data)
            if caller is not None:
                told = {"step": step, "approved": data.get("approved")}
                self.store.note("approval.answered", run_id, caller, at, told)
            return True

        return await self._write("answer", work)

    async def requeue(self, run: Run, *, at: datetime) -> bool:
        told = {"reason": "requeued"}
        return await self._write(
            "requeue", lambda: self._begin_again(run, at, 0, EntryType.RUN_RETRIED, told)
        )

    async def resume(self, run: Run, *, at: datetime) -> bool:
        told = {"attempt": run.attempt + 1, "resumes": run.resumes + 1}
        return await self._write(
            "resume", lambda: self._begin_again(run, at, 1, EntryType.RUN_RESUMED, told)
        )

    async def take_orphans(self, *, carried: Collection[str] | None = None) -> list[Run]:
        node = self._node
        runs = self.store.runs

        def look() -> list[RunRow]:
            return [
                row
                for row in runs.rows(runs.running)
                if self._is_orphaned(row.run.node, node, row.run.run_id, carried)
            ]

        def work() -> list[Run]:
            if not self._may_act(node):
                return []
            return [self._change(row, node=node, term=row.run.term + 1) for row in look()]

        self._check_reach()
        return await self._write("take_orphans", work) if look() else []

    def _ended(self, row: RunRow, outcome: Outcome, at: datetime) -> Run:
        return self._change(
            row,
            status=outcome.status,
            reason=outcome.reason,
            error=values.maybe_text(outcome.error),
            finished_at=values.instant(at),
            model=values.maybe_text(outcome.model),
            result_text=values.maybe_text(outcome.text),
            result_payload=values.document(outcome.payload),
            output=tuple(values.text(label) for label in outcome.output),
            usage=row.run.usage + outcome.usage,
        )

    def _skip(self, row: RunRow, outcome: Outcome, at: datetime) -> None:
        """A run that was kept from starting: what stopped it is the rule, and no error."""
        ended = self._change(
            row,
            status=outcome.status,
            reason=outcome.reason,
            rule=values.maybe_text(outcome.error),
            started_at=None,
            finished_at=values.instant(at),
            usage=row.run.usage + outcome.usage,
        )
        self._tell(row.run, EntryType.RUN_FINISHED, at, outcome.entry(ended.usage))

    def _complete(self, run: Run, outcome: Outcome, plan: Plan) -> dict[str, object]:
        """Keep what only a completed run leaves behind; what to say of it in its journal."""
        if outcome.gate is not None and not (run.rehearse or outcome.rehearsed):
            self._keep_value(run, outcome.gate)
        if plan.reason is None:
            return {}
        self._change(self.store.runs.row(run.run_id), reason=plan.reason)
        return {"reason": plan.reason}

    def _keep_value(self, run: Run, gate: GateValue) -> None:
        """Make it the last value seen, unless what stands there may be newer."""
        last = self.store.gates.get(run.automation)
        seen = replace(
            gate,
            value=values.text(gate.value),
            since=values.instant(gate.since),
            until=values.instant(gate.until),
        )
        if last is None or last.run_id == gate.over or last.gate.until < seen.since:
            self.store.gates.put(run.automation, GateRow(run.run_id, seen))

    def _retry(self, row: RunRow, outcome: Outcome, at: datetime, retry_at: datetime) -> None:
        run = row.run
        self._change(
            row,
            status=RunStatus.PENDING,
            attempt=run.attempt + 1,
            not_before=values.instant(retry_at),
            error=values.maybe_text(outcome.error),
            usage=run.usage + outcome.usage,
        )
        told = {"reason": outcome.reason, "error": outcome.error, "retry_at": iso(retry_at)}
        self._tell(run, EntryType.RUN_RETRIED, at, told)
        self._give_back(run, at)

    def _begin_again(
        self, run: Run, at: datetime, resumes: int, type: EntryType, told: Mapping[str, object]
    ) -> bool:
        row = self._held(run)
        if row is None:
            return False
        self._change(
            row,
            status=RunStatus.PENDING,
            attempt=row.run.attempt + 1,
            resumes=row.run.resumes + resumes,
            not_before=None,
        )
        self._tell(run, type, at, told)
        self._give_back(run, at)
        return True

    def _give_back(self, run: Run, at: datetime) -> None:
        """A run that somebody asked to end while it ran waits for nothing."""
        row = self.store.runs.row(run.run_id)
        if row.cancel_asked:
            self._end_pending(run.run_id, RunStatus.CANCELLED, None, "cancelled while it ran", at)

    def _tell(self, run: Run, type: EntryType, at: datetime, data: Mapping[str, object]) -> None:
        self.store.append(run.run_id, type, at=at, attempt=run.attempt, data=data)
