"""The verbs of approvals: what a person is asked, and what that person says.

Runs ask at a node of their workflow, and go on with the answer. Writes are parked, and outlive
their run.
"""

from collections.abc import Mapping, Sequence

from amodal_rt.clock import Clock, iso
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.journal import Entry, Question, last_question, latest_try
from amodal_rt.domain.parked import require_open, same_call
from amodal_rt.domain.run import OPEN, PendingReason, Run, RunStatus
from amodal_rt.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from amodal_rt.guardrails.untrusted import plain
from amodal_rt.operations import asked, parked
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import RUNS_PENDING, Caller, Ledger, RunFilter, Signals, journal_topic

LONGEST_NOTE = 1000


class Approvals:
    """Answers from the journals, what the engine goes on with, and on parked writes."""

    def __init__(
        self, ledger: Ledger, writes: parked.Writes, *, signals: Signals, clock: Clock
    ) -> None:
        self._writes = writes
        self._ledger = ledger
        self._signals = signals
        self._clock = clock

    async def list_all(
        self, caller: Caller, *, automation: str | None = None, limit: int = 50
    ) -> list[Document]:
        """What waits for an answer, what was asked last first."""
        wanted = RunFilter(
            automation=automation,
            status=RunStatus.PENDING,
            reason=PendingReason.AWAITING_APPROVAL.value,
            limit=limit,
        )
        found = [
            await self.find(caller, run.run_id) for run in await self._ledger.list_runs(wanted)
        ]
        writes = await self._writes.waiting(automation=automation, limit=limit)
        rows = [each for each in found if each is not None] + [*map(self._writes.document, writes)]
        return sorted(rows, key=lambda row: str(row["asked_at"]), reverse=True)[:limit]

    async def find(self, caller: Caller, run_id: str) -> Document | None:
        """The question that waits for an answer in the run, or None. Raises NotFoundError."""
        run, question = await self._last(run_id)
        asks = (run.status, run.reason) == (RunStatus.PENDING, PendingReason.AWAITING_APPROVAL)
        return _document(run, question) if question and asks and not question.closed else None

    async def show(self, caller: Caller, run_id: str) -> Document:
        """The parked write of that id, or what the run of that id asked last, with its answer if
        there is one; of a run that asked nothing, the last write that it parked.

        Raises NotFoundError (`run_not_found`, `approval_not_found`).
        """
        if run_id.startswith(parked.PREFIX):
            return self._writes.document(await self._writes.get(run_id))
        run, question = await self._last(run_id)
        if question is None:
            writes = await self._writes.of_run(run_id)
            if writes:
                return self._writes.document(writes[-1])
            raise NotFoundError(
                f"{run_id} asks nobody anything",
                code="approval_not_found",
                hint="`ops approvals list` has the questions that wait for an answer",
            )
        return _document(run, question)

    async def answer(
        self,
        caller: Caller,
        run_id: str,
        *,
        step: str | None = None,
        approved: bool,
        note: str | None = None,
        call: Mapping[str, object] | None = None,
        cause: Cause | None = None,
    ) -> Document:
        """Say yes or no to the parked write of that id, or to the question of that step of the run,
        or to what is open of it; returns it with the answer. With `call`, yes to a write as edited.
        `cause` is the run that makes a child process of its own ask for this.

        Raises NotFoundError, InvalidError (`bad_note`), DeniedError (`own_approval`) where there
        is a `cause`, and ConflictError (`not_asked`) where no such question is open, or any more;
        of a write as `parked.Writes.decide`.
        """
        said = _note(note)
        if cause is not None:
            raise DeniedError(
                "what a run asks for, a person decides and no run",
                code="own_approval",
                hint="answer from a terminal or the dashboard",
            )
        write_id = await self._write_of(run_id)
        if write_id is not None:
            decided = await self._writes.decide(
                caller, write_id, approved=approved, note=said, call=call
            )
            return self._writes.document(decided)
        if call is not None:
            raise InvalidError(f"{run_id} asks, and parks no call", code="bad_call")
        return await self._answer(caller, run_id, step=step, approved=approved, note=said)

    async def editing(self, caller: Caller, write_id: str) -> Document:
        """A parked write that is open, with `free`, what a form lets a person edit of its call,
        and what is `held`: `[{name, value, why}]`. Raises NotFoundError, and ConflictError
        (`already_decided`)."""
        write = await self._writes.get(write_id)
        free, held = self._writes.free(require_open(write))
        told = [{"name": each.name, "value": each.value, "why": each.why} for each in held]
        return {**self._writes.document(write), "free": free, "held": told}

    async def answer_edited(
        self, caller: Caller, write_id: str, *, given: Mapping[str, object], note: str | None
    ) -> Document:
        """Yes to a parked write whose free part is `given`. As `answer`, and raises InvalidError
        (`field_held`) and ConflictError (`not_edited`)."""
        write = await self._writes.get(write_id)
        call = self._writes.joined(write, given)
        if same_call(call, write.call):
            raise ConflictError("nothing was edited, and so nothing approved", code="not_edited")
        return await self.answer(caller, write_id, approved=True, note=note, call=call)

    async def _answer(
        self, caller: Caller, run_id: str, *, step: str | None, approved: bool, note: str | None
    ) -> Document:
        """The same of a question."""
        question = await self.find(caller, run_id)
        answer: Document = {
            "approved": approved,
            "by": caller.actor,
            "door": caller.door,
            "note": note,
        }
        meant = step or (str(question["step"]) if question else "")
        taken = question is not None and await self._ledger.answer(
            run_id, step=meant, data=answer, at=self._clock.now(), caller=caller
        )
        if not taken:
            raise ConflictError(
                f"{run_id} does not ask this, or any more",
                code="not_asked",
                hint=f"`ops approvals show {run_id}` says whether somebody else has answered, "
                "or the time is over",
            )
        self._signals.notify(RUNS_PENDING)
        self._signals.notify(journal_topic(run_id))
        return await self.show(caller, run_id)

    async def _write_of(self, id: str) -> str | None:
        """The write that is meant, None where it is a question."""
        if id.startswith(parked.PREFIX):
            return id
        found = await self._writes.only_of(id)
        return found.write_id if found else None

    async def _last(self, run_id: str) -> tuple[Run, Question | None]:
        run = await self._ledger.find_run(run_id)
        if run is None:
            raise asked.missing("run", run_id)

        async def page(after: int) -> Sequence[Entry]:
            return await self._ledger.entries(run_id, after=after)

        return run, last_question(await latest_try(page))


def _note(note: str | None) -> str | None:
    said = plain(note).strip() if note else ""
    if len(said) > LONGEST_NOTE:
        raise InvalidError(f"a note has at most {LONGEST_NOTE} characters", code="bad_note")
    return said or None


def _document(run: Run, question: Question) -> Document:
    entry, answer = question.asked, question.answer
    return {
        "kind": "question",
        "id": run.run_id,
        "run_id": run.run_id,
        "automation": run.automation,
        "title": run.title,
        "requester": run.requester,
        "step": entry.step,
        "node": entry.data.get("node"),
        "message": entry.data.get("message"),
        "asked_at": iso(entry.at),
        "until": entry.data.get("until"),
        "status": _status(run, question),
        "by": answer.data.get("by") if answer else None,
        "door": answer.data.get("door") if answer else None,
        "note": answer.data.get("note") if answer else None,
        "answered_at": iso(answer.at) if answer else None,
        "write": None,
    }


def _status(run: Run, question: Question) -> str:
    if question.answer is not None:
        return "approved" if question.answer.data.get("approved") is True else "denied"
    if question.closed:
        return "expired"
    return "open" if run.status in OPEN else "withdrawn"
