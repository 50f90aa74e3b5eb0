"""One run's journal as its executor sees it."""

from collections.abc import Callable, Mapping
from typing import cast

from amodal_rt.clock import Clock
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import Run
from amodal_rt.engine.masking import masked
from amodal_rt.errors import ConflictError, UnavailableError
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import JournalLedger, Signals, journal_topic

FENCED = "fenced"
_RETRY_SECONDS = 0.5

_log = Log("engine")


class RunJournal:
    """Implements `ports.Journal`. Masks secrets, wakes followers, and closes with the run.

    An executor that outlives its run must not write into it: `record` then raises
    ConflictError (`run_ended`), and ConflictError (`fenced`) once another node has the run.
    While the ledger cannot be used the executor waits: what it has done must not be lost, and
    what it would do next may not be done unwritten. The run's deadline goes on.
    """

    def __init__(
        self,
        run: Run,
        ledger: JournalLedger,
        *,
        signals: Signals,
        clock: Clock,
        mask: Callable[[str], str],
        fenced: Callable[[], None],
    ) -> None:
        """`fenced` is called when the ledger says that another node has the run."""
        self._run = run
        self._ledger = ledger
        self._signals = signals
        self._clock = clock
        self._mask = mask
        self._fenced = fenced
        self._open = True
        self._waits = Spell(_log, clock, event="run.journal_waits", over="run.journal_resumed")
        self.wrote = False

    async def record(
        self,
        type: EntryType,
        *,
        step: str | None = None,
        parent: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        self._require_open()
        self.wrote = self.wrote or type is EntryType.WRITE_STARTED
        hidden = cast("Mapping[str, object]", masked(data, self._mask)) if data else None
        while not await self._try(type, step, parent, hidden):
            await self._clock.sleep(_RETRY_SECONDS)
            self._require_open()
        self._signals.notify(journal_topic(self._run.run_id))

    def close(self) -> None:
        """Refuse what comes from now on."""
        self._open = False

    def _require_open(self) -> None:
        if not self._open:
            raise ConflictError("the run has ended", code="run_ended")

    async def _try(
        self,
        type: EntryType,
        step: str | None,
        parent: str | None,
        data: Mapping[str, object] | None,
    ) -> bool:
        """Whether the ledger took it."""
        try:
            await self._ledger.record(
                self._run.run_id,
                type,
                at=self._clock.now(),
                attempt=self._run.attempt,
                step=step,
                parent=parent,
                data=data,
                term=self._run.term,
            )
        except ConflictError as error:
            if error.code == FENCED:
                self._fenced()
            raise
        except UnavailableError as error:
            self._waits.failed(run=self._run.run_id, error=error.message)
            return False
        self._waits.ended(run=self._run.run_id)
        return True
