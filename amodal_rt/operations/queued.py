"""What pending runs wait for, in words."""

from collections.abc import Sequence

from amodal_rt.clock import Clock, iso
from amodal_rt.domain import schedule
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.domain.wait import Wait, WaitReason
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.guardrails.pacing import paced
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import Catalogue, ModelPacing, RunLedger

_FEW = 3


class Queued:
    """Asks the ledger what its next claim would find, by the files of the moment."""

    def __init__(self, catalogue: Catalogue, ledger: RunLedger, *, clock: Clock) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._clock = clock
        self.pacing: ModelPacing | None = None

    async def waits(self, runs: Sequence[Run]) -> dict[str, Document]:
        """`{reason, rule, until, runs}` of each of them that is still pending, by run id."""
        pending = {each.run_id: each for each in runs if each.status is RunStatus.PENDING}
        if not pending:
            return {}
        snapshot = self._catalogue.snapshot()
        found = await self._ledger.waits(
            list(pending),
            overall=snapshot.settings.limits.concurrency,
            now=self._clock.now(),
            can_run=paced(snapshot.can_run, self.pacing, snapshot),
        )
        found = {
            run_id: self._paced(snapshot, pending[run_id], each) for run_id, each in found.items()
        }
        return {
            run_id: {
                "reason": wait.reason.value,
                "rule": self._rule(pending[run_id], wait, snapshot),
                "until": iso(wait.until),
                "runs": list(wait.runs),
            }
            for run_id, wait in found.items()
        }

    def _paced(self, snapshot: Snapshot, run: Run, wait: Wait) -> Wait:
        if wait.reason is not WaitReason.INVALID or not snapshot.can_run(run.automation, False):
            return wait
        held = self.pacing.held(snapshot, run.automation) if self.pacing else None
        return Wait(reason=WaitReason.PROVIDER_LIMIT, until=held[1] if held else None)

    def _rule(self, run: Run, wait: Wait, snapshot: Snapshot) -> str:
        held = self.pacing.held(snapshot, run.automation) if self.pacing else None
        if held is None or wait.reason not in {WaitReason.PARKED, WaitReason.PROVIDER_LIMIT}:
            return _rule(run, wait, snapshot)
        limit = f"the model {held[0]} is over its provider's limit until {iso(held[1])}"
        parked = wait.reason is WaitReason.PARKED
        return f"{_rule(run, wait, snapshot)}: {limit}" if parked else limit


def _rule(run: Run, wait: Wait, snapshot: Snapshot) -> str:
    match wait.reason:
        case WaitReason.PARKED:
            until = f" until {iso(wait.until)}" if wait.until else ""
            return f"it is {run.reason}{until}, and holds no slot"
        case WaitReason.INVALID:
            return _invalid(run, snapshot)
        case WaitReason.COALESCE:
            return f"coalesce: a later start of its key may stand for it until {iso(wait.until)}"
        case WaitReason.NOT_DUE:
            return f"attempt {run.attempt} is due at {iso(wait.until)}"
        case WaitReason.CONVERSATION:
            return f"conversationKey: {wait.runs[0]} goes first"
        case WaitReason.CONCURRENCY_LIMIT:
            return f"limits.concurrency {wait.limit}: {_several(wait.runs)} go first"
        case WaitReason.GLOBAL_LIMIT:
            longest = schedule.duration(snapshot.settings.limits.start_within)
            told = "" if run.started_at else f"; it is skipped after limits.startWithin {longest}"
            return f"limits.concurrency {wait.limit} of amodal.json: as many go first{told}"
        case WaitReason.NEXT | WaitReason.PROVIDER_LIMIT:
            return "it is the next to start"


def _invalid(run: Run, snapshot: Snapshot) -> str:
    state = snapshot.automations.get(run.automation)
    if state is None:
        return f"there is no file of {run.automation} here"
    if state.blocked:
        return f"it cannot run: {state.blocked[0].sentence()}"
    return f"no version of {run.automation} can be read"


def _several(runs: Sequence[str]) -> str:
    more = len(runs) - _FEW
    named = ", ".join(runs[:_FEW])
    return f"{named} and {more} more" if more > 0 else named
