"""One run's journal as its executor sees it."""

from collections.abc import Callable, Mapping
from typing import cast

from amodal_rt.clock import Clock
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import Run
from amodal_rt.engine.masking import masked
from amodal_rt.errors import ConflictError
from amodal_rt.ports import JournalLedger, Signals, journal_topic


class RunJournal:
    """Implements `ports.Journal`. Masks secrets, wakes followers, and closes with the run.

    An executor that outlives its run must not write into it: `record` then raises
    ConflictError (`run_ended`).
    """

    def __init__(
        self,
        run: Run,
        ledger: JournalLedger,
        *,
        signals: Signals,
        clock: Clock,
        mask: Callable[[str], str],
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._signals = signals
        self._clock = clock
        self._mask = mask
        self._open = True
        self.wrote = False

    async def record(
        self,
        type: EntryType,
        *,
        step: str | None = None,
        parent: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        if not self._open:
            raise ConflictError("the run has ended", code="run_ended")
        self.wrote = self.wrote or type is EntryType.WRITE_STARTED
        hidden = cast("Mapping[str, object]", masked(data, self._mask)) if data else None
        await self._ledger.record(
            self._run.run_id,
            type,
            at=self._clock.now(),
            attempt=self._run.attempt,
            step=step,
            parent=parent,
            data=hidden,
        )
        self._signals.notify(journal_topic(self._run.run_id))

    def close(self) -> None:
        """Refuse what comes from now on."""
        self._open = False
