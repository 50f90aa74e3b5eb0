"""What pending runs wait for, by the rules of the claim itself."""

from dataclasses import dataclass
from datetime import datetime

from amodal_rt.domain.run import Run
from amodal_rt.domain.wait import Wait, WaitReason
from amodal_rt.ports import CanRun
from amodal_rt.testing.ledger.tables import RunRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The queue as the next claim would find it; `line` is what could start together."""

    line: list[Run]
    running: list[Run]
    overall: int
    now: datetime
    can_run: CanRun | None

    def wait_of(self, row: RunRow, head: Run) -> Wait:
        """The first reason that holds; `head` goes first of the run's conversation."""
        run, free = row.run, max(0, self.overall - len(self.running))
        if run in self.line[:free]:
            return Wait(reason=WaitReason.NEXT)
        if run in self.line:
            return Wait(reason=WaitReason.GLOBAL_LIMIT, limit=self.overall)
        return self._outside(run) or self._for_others(run, row.concurrency, head)

    def _outside(self, run: Run) -> Wait | None:
        is_due = run.not_before is not None and run.not_before <= self.now
        if run.reason is not None and not is_due:
            return Wait(reason=WaitReason.PARKED, until=run.not_before)
        if not can_run_here(run, self.can_run):
            return Wait(reason=WaitReason.INVALID)
        if run.not_before is None or run.not_before <= self.now:
            return None
        joins = run.coalesce_key is not None and run.started_at is None
        reason = WaitReason.COALESCE if joins else WaitReason.NOT_DUE
        return Wait(reason=reason, until=run.not_before)

    def _for_others(self, run: Run, concurrency: int, head: Run) -> Wait:
        mine = [each for each in self.running if each.automation == run.automation]
        ahead = [each for each in self.line if each.automation == run.automation]
        if key := run.conversation_key:
            same = [each for each in (*mine, *ahead) if each.conversation_key == key]
            if first := same or [head] * (head is not run):
                return Wait(reason=WaitReason.CONVERSATION, runs=(first[0].run_id,))
        return Wait(
            reason=WaitReason.CONCURRENCY_LIMIT,
            runs=tuple(each.run_id for each in [*mine, *ahead][: max(concurrency, len(mine))]),
            limit=concurrency,
        )


def can_run_here(run: Run, can_run: CanRun | None) -> bool:
    """Whether this node can execute the run."""
    return can_run is None or can_run(run.automation, run.rehearse)
