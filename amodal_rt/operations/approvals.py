"""The verbs of approvals: which runs ask a person, and what that person says."""

from collections.abc import Sequence

from amodal_rt.clock import Clock, iso
from amodal_rt.domain.journal import Entry, latest_try, open_approval
from amodal_rt.domain.run import PendingReason, Run, RunStatus
from amodal_rt.errors import ConflictError, InvalidError
from amodal_rt.guardrails.untrusted import plain
from amodal_rt.operations import asked
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import RUNS_PENDING, Caller, Ledger, RunFilter, Signals, journal_topic

LONGEST_NOTE = 1000


class Approvals:
    """Answers from the journals; what is answered there, the engine goes on with."""

    def __init__(self, ledger: Ledger, *, signals: Signals, clock: Clock) -> None:
        self._ledger = ledger
        self._signals = signals
        self._clock = clock

    async def list_all(self, caller: Caller, *, limit: int = 50) -> list[Document]:
        """The questions that wait for an answer, the newest run first."""
        wanted = RunFilter(
            status=RunStatus.PENDING, reason=PendingReason.AWAITING_APPROVAL.value, limit=limit
        )
        rows: list[Document] = []
        for run in await self._ledger.list_runs(wanted):
            entry = await self._question(run)
            if entry is not None:
                rows.append(_document(run, entry))
        return rows

    async def find(self, caller: Caller, run_id: str) -> Document | None:
        """The question that the run asks, or None. Raises NotFoundError."""
        run = await self._run(run_id)
        entry = await self._question(run)
        return None if entry is None else _document(run, entry)

    async def answer(
        self, caller: Caller, run_id: str, *, step: str, approved: bool, note: str | None = None
    ) -> Document:
        """Say yes or no to the question of that step; returns it with the answer.

        Raises NotFoundError, InvalidError (`bad_note`), ConflictError (`not_asked`) where no such
        question is open, or any more.
        """
        said = plain(note).strip() if note else ""
        if len(said) > LONGEST_NOTE:
            raise InvalidError(f"a note has at most {LONGEST_NOTE} characters", code="bad_note")
        question = await self.find(caller, run_id)
        answer: Document = {"approved": approved, "by": caller.actor, "note": said or None}
        now = self._clock.now()
        taken = question is not None and await self._ledger.answer(
            run_id, step=step, data=answer, at=now
        )
        if question is None or not taken:
            raise ConflictError(
                f"{run_id} does not ask this, or any more",
                code="not_asked",
                hint="somebody else may have answered, or the time is over",
            )
        await self._ledger.audit(
            "approval.answered",
            subject=run_id,
            caller=caller,
            at=now,
            data={"step": step, "approved": approved},
        )
        self._signals.notify(RUNS_PENDING)
        self._signals.notify(journal_topic(run_id))
        return {**question, **answer}

    async def _run(self, run_id: str) -> Run:
        found = await self._ledger.find_run(run_id)
        if found is None:
            raise asked.missing("run", run_id)
        return found

    async def _question(self, run: Run) -> Entry | None:
        if (run.status, run.reason) != (RunStatus.PENDING, PendingReason.AWAITING_APPROVAL):
            return None

        async def page(after: int) -> Sequence[Entry]:
            return await self._ledger.entries(run.run_id, after=after)

        return open_approval(await latest_try(page))


def _document(run: Run, entry: Entry) -> Document:
    return {
        "run_id": run.run_id,
        "automation": run.automation,
        "title": run.title,
        "requester": run.requester,
        "step": entry.step,
        "node": entry.data.get("node"),
        "message": entry.data.get("message"),
        "asked_at": iso(entry.at),
        "until": entry.data.get("until"),
    }
