"""What a crash left behind, settled before anything new begins."""

from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Outcome, failed
from amodal_rt.domain.run import FailedReason, Run
from amodal_rt.logs import Log
from amodal_rt.ports import JournalLedger, RunLedger

_log = Log("engine")
_HARMLESS = frozenset({EntryType.RUN_STARTED, EntryType.PROMPT})
_MOST_ATTEMPTS = 3
_PAGE = 1000


class RecoveryLedger(RunLedger, JournalLedger, Protocol):
    """What recovery needs of the ledger."""


class Settles(Protocol):
    """Commits an outcome with what it owes."""

    async def settle(
        self, run: Run, outcome: Outcome, definition: Definition | None, *, wrote: bool
    ) -> None:
        """Commit it."""
        ...

    def definition_of(self, run: Run) -> Definition | None:
        """The live version of the run's automation, if it has one."""
        ...


class Recovery:
    """Runs that were running when the process died.

    One that had done nothing yet goes back to the queue. Any other fails as `interrupted`
    and alerts like every failure: what it did last is unknown. So does one that went back
    often enough: it may be what ends the process.
    """

    def __init__(self, ledger: RecoveryLedger, settles: Settles, clock: Clock) -> None:
        self._ledger = ledger
        self._settles = settles
        self._clock = clock

    async def recover(self) -> None:
        """Settle each of them. May be cut off and repeated at any point."""
        for run in await self._ledger.running():
            if run.attempt <= _MOST_ATTEMPTS and await self._did_nothing(run):
                await self._ledger.requeue(run, at=self._clock.now())
                _log.warning("run.requeued", run=run.run_id, automation=run.automation)
            else:
                outcome = failed(
                    FailedReason.INTERRUPTED, "the daemon ended in the middle of the run"
                )
                definition = self._settles.definition_of(run)
                await self._settles.settle(run, outcome, definition, wrote=True)

    async def _did_nothing(self, run: Run) -> bool:
        after = 0
        # Earlier attempts may fill more than one page before this one begins.
        while page := await self._ledger.entries(run.run_id, after=after, limit=_PAGE):
            mine = (each for each in page if each.attempt == run.attempt)
            if not all(each.type in _HARMLESS for each in mine):
                return False
            after = page[-1].sequence
        return True
