"""A ledger that tells which runs ended without having run, and that an event waits.

Runs are skipped and cancelled on many roads: by the clock, a webhook, the bus, a pause, a file
that goes away. All of them end here, so that none is forgotten.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from amodal_rt.domain.delivery import Attempt, FailureState, OutboxMessage, Plan
from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.outcome import Outcome
from amodal_rt.domain.run import Run, RunStatus, SkippedReason, Start
from amodal_rt.operations.counted import Counted
from amodal_rt.ports import Act, AutomationFacts, Caller, Receipt, RunFilter, RunRef
from amodal_rt.storage.ledger import DatabaseLedger

_MOST = 1000
_Refs = TypeVar("_Refs", bound=Sequence[RunRef])


class Telling(DatabaseLedger):
    """Any ledger, once `note_with` was called. What it does and returns stays the same."""

    _counted: Counted | None = None
    _note: Callable[[Iterable[RunRef]], None] | None = None
    _wake: Callable[[], None] | None = None
    _send: Callable[[], None] | None = None

    def note_with(
        self,
        note: Callable[[Iterable[RunRef]], None],
        wake: Callable[[], None],
        send: Callable[[], None],
    ) -> None:
        """From now on, tell `note` of the runs that were skipped or cancelled, `wake` who matches
        events, and have `send` look at what a run owes before it ends."""
        self._note, self._wake, self._send = note, wake, send

    def count_with(self, counted: Counted) -> None:
        """From now on, count what comes and what ends."""
        self._counted = counted

    async def finish(
        self,
        run: Run,
        outcome: Outcome,
        *,
        at: datetime,
        plan: Callable[[FailureState], Plan],
        retry_at: datetime | None = None,
    ) -> bool:
        done = await super().finish(run, outcome, at=at, plan=plan, retry_at=retry_at)
        if done and retry_at is None and self._counted is not None:
            took = at - (run.started_at or at)
            self._counted.note_finished(outcome.status, outcome.reason, took)
        return done

    async def record_attempt(self, attempt: Attempt) -> None:
        await super().record_attempt(attempt)
        if self._counted is not None:
            self._counted.attempts[attempt.result.value] += 1

    async def reject(
        self,
        rejection: Rejection,
        *,
        count: int = 1,
        counted_as: str | None = None,
        instead_of: Rejection | None = None,
    ) -> None:
        await super().reject(rejection, count=count, counted_as=counted_as, instead_of=instead_of)
        if self._counted is not None:
            self._counted.events["refused"] += count

    async def emit(
        self,
        event: Event,
        *,
        step: str | None = None,
        parent: str | None = None,
        attempt: int = 1,
        term: int | None = None,
    ) -> bool:
        new = await super().emit(event, step=step, parent=parent, attempt=attempt, term=term)
        if new and self._wake is not None:
            self._wake()
        return new

    async def owe_from_run(
        self,
        run_id: str,
        messages: Sequence[OutboxMessage],
        *,
        at: datetime,
        step: str,
        attempt: int = 1,
        term: int | None = None,
    ) -> None:
        await super().owe_from_run(run_id, messages, at=at, step=step, attempt=attempt, term=term)
        if self._send is not None:
            self._send()

    async def accept(
        self,
        event: Event,
        *,
        dedup: DedupKey | None,
        starts: Sequence[Start],
        missed: int = 0,
        queue_limit: int,
        act: Act | None = None,
    ) -> Receipt:
        receipt = await super().accept(
            event, dedup=dedup, starts=starts, missed=missed, queue_limit=queue_limit, act=act
        )
        if self._counted is not None:
            self._counted.events["duplicate" if receipt.duplicate else "accepted"] += 1
        if not receipt.duplicate:
            self._told(receipt.runs)
        return receipt

    async def admit(self, starts: Sequence[Start], *, act: Act | None = None) -> list[RunRef]:
        return self._told(await super().admit(starts, act=act))

    async def match(
        self, event_id: str, *, starts: Sequence[Start], missed: int
    ) -> list[RunRef] | None:
        refs = await super().match(event_id, starts=starts, missed=missed)
        self._told(refs or ())
        return refs

    async def replay(
        self, event_id: str, *, starts: Sequence[Start], act: Act | None = None
    ) -> list[RunRef]:
        return self._told(await super().replay(event_id, starts=starts, act=act))

    async def expire(self, run_ids: Sequence[str], *, at: datetime) -> list[RunRef]:
        return self._told(await super().expire(run_ids, at=at))

    async def skip_pending(
        self, run_id: str, *, reason: SkippedReason, rule: str, at: datetime
    ) -> bool:
        done = await super().skip_pending(run_id, reason=reason, rule=rule, at=at)
        self._ended([run_id] if done else [], "", RunStatus.SKIPPED, reason)
        return done

    async def cancel(self, run_id: str, *, caller: Caller, at: datetime) -> RunStatus:
        before = await super().cancel(run_id, caller=caller, at=at)
        self._ended([run_id] if before is RunStatus.PENDING else [], "", RunStatus.CANCELLED)
        return before

    async def cancel_pending(
        self, automation: str, *, rule: str, caller: Caller, at: datetime
    ) -> list[str]:
        ended = await super().cancel_pending(automation, rule=rule, caller=caller, at=at)
        self._ended(ended, automation, RunStatus.CANCELLED)
        return ended

    async def set_paused(
        self, name: str, *, paused: bool, reason: str | None, caller: Caller, at: datetime
    ) -> AutomationFacts:
        waiting: list[str] = []
        if paused and self._note is not None:
            wanted = RunFilter(automation=name, status=RunStatus.PENDING, limit=_MOST)
            waiting = [each.run_id for each in await self.list_runs(wanted)]
        facts = await super().set_paused(name, paused=paused, reason=reason, caller=caller, at=at)
        # Those that began in between are not cancelled; whoever is told looks again.
        self._ended(waiting, name, RunStatus.CANCELLED)
        return facts

    def _ended(
        self,
        run_ids: Sequence[str],
        automation: str,
        status: RunStatus,
        reason: SkippedReason | None = None,
    ) -> None:
        ref = RunRef(run_id="", automation=automation, status=status, reason=reason)
        self._told([replace(ref, run_id=each) for each in run_ids])

    def _told(self, refs: _Refs) -> _Refs:
        if self._note is not None and refs:
            self._note(refs)
        if self._counted is not None:
            self._counted.note_unstarted(refs)
        return refs
