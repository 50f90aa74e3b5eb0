"""The verbs of runs: list, show, follow, cancel, replay."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from amodal_rt.clock import Clock, first_of
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.delivery import DeliveryRecord
from amodal_rt.domain.invocation import InvokeAuth
from amodal_rt.domain.run import OPEN, Run, RunStatus
from amodal_rt.domain.trail import TrailFilter
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.errors import ConflictError, TimedOutError
from amodal_rt.operations import asked, shapes
from amodal_rt.operations.given import given_by_hand
from amodal_rt.operations.shapes import Document
from amodal_rt.operations.starting import REPLAYED, Starting
from amodal_rt.ports import (
    RUNS_PENDING,
    Caller,
    Ledger,
    RunControl,
    RunFilter,
    Signals,
    journal_topic,
)

FOLLOW_POLL_SECONDS = 5
"""A follower looks again after this long even when nobody woke it."""
CANCEL_SECONDS = 10
"""How long `cancel` waits for a running run to end: its supervisor abandons it after 5 s."""
_POLL_SECONDS = 1
_PAGE = 500
_DELIVERIES = 10_000
_ROWS = 1000
_GIVEN = (TriggerKind.MANUAL, TriggerKind.INVOKED)
"""Starts whose payload a caller gave."""


class Runs:
    """Answers from the ledger; a running run is ended through the engine."""

    def __init__(
        self,
        ledger: Ledger,
        control: RunControl,
        starting: Starting,
        *,
        signals: Signals,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._control = control
        self._starting = starting
        self._signals = signals
        self._clock = clock

    async def list_all(
        self,
        caller: Caller,
        *,
        automation: str | None = None,
        status: RunStatus | None = None,
        since: datetime | None = None,
        limit: int = 50,
    ) -> list[Document]:
        """Runs with their deliveries, newest first."""
        wanted = RunFilter(automation=automation, status=status, since=since, limit=limit)
        return await self._documents(await self._ledger.list_runs(wanted))

    async def show(self, caller: Caller, run_id: str) -> Document:
        """One run with its result. Raises NotFoundError."""
        found = await self._get(run_id)
        deliveries = await self._deliveries([found])
        return shapes.run_in_full(found, deliveries.get(run_id, ()))

    async def cancel(self, caller: Caller, run_id: str) -> Document:
        """End a run that has not ended. Raises NotFoundError, ConflictError (`run_ended`).

        Returns when it has ended; TimedOutError when it still runs after ten seconds.
        """
        with self._signals.listen(journal_topic(run_id)) as wait:
            before = await self._ledger.cancel(run_id, caller=caller, at=self._clock.now())
            if before not in OPEN:
                raise ConflictError(f"{run_id} has already {_ended(before)}", code="run_ended")
            if before is RunStatus.RUNNING:
                self._control.cancel_running(run_id)
            else:
                self._signals.notify(journal_topic(run_id))
                self._signals.notify(RUNS_PENDING)
            try:
                async with self._clock.deadline(CANCEL_SECONDS):
                    while (await self._get(run_id)).status in OPEN:
                        # The word of another node may be lost.
                        await first_of(wait(), self._clock.sleep(_POLL_SECONDS))
            except TimeoutError:
                raise TimedOutError(
                    f"{run_id} was asked to end and still runs", hint=f"ops runs show {run_id}"
                ) from None
        return await self.show(caller, run_id)

    async def replay(
        self,
        caller: Caller,
        run_id: str,
        *,
        shown: InvokeAuth | None = None,
        cause: Cause | None = None,
    ) -> Document:
        """Start a new run from the same event or payload, on the version that is live now.

        Its chain begins anew, unless a run asks for it: `cause`. What somebody gave the run is
        judged by that version's rules: raises as `given_by_hand`, and as `Starting.start`.
        """
        before = await self._get(run_id)
        return await self._starting.start(
            before.automation,
            caller=caller,
            payload=await self._given_again(before, shown),
            event_id=before.event_id,
            rehearse=before.rehearse,
            cause=cause,
            replay_of=run_id,
        )

    async def _given_again(self, before: Run, shown: InvokeAuth | None) -> object:
        if before.event_id is not None or not await self._was_given(before):
            return before.payload
        live = self._starting.definition(before.automation, rehearse=before.rehearse)
        return await given_by_hand(before.payload, live, shown)

    async def _was_given(self, run: Run | None) -> bool:
        """Whether a caller chose the payload: of a replay, that of the run that it goes back to.
        What a schedule brought was never anybody's to choose."""
        # An origin that is gone from the ledger counts as given: it is judged, never let through.
        while run is not None and run.trigger in _GIVEN:
            run_id = run.run_id
            rows = await self._ledger.trail(TrailFilter(run_id=run_id, limit=_ROWS))
            acts = (row for row in rows if (row.action, row.subject) == (REPLAYED, run_id))
            act = next(acts, None)
            origin = act.data.get("replay_of") if act else None
            if not isinstance(origin, str):
                return True
            run = await self._ledger.find_run(origin)
        return run is None

    async def journal(
        self, caller: Caller, run_id: str, *, after: int = 0, follow: bool = False
    ) -> AsyncIterator[list[Document]]:
        """The entries in order, in batches; with `follow`, until the run has ended.

        Raises NotFoundError before the first batch.
        """
        await self._get(run_id)
        with self._signals.listen(journal_topic(run_id)) as wait:
            while True:
                # Asked before the entries: a run that ends in between still shows its last ones.
                ended = (await self._get(run_id)).status not in OPEN
                while entries := await self._ledger.entries(run_id, after=after, limit=_PAGE):
                    after = entries[-1].sequence
                    yield [shapes.entry(each) for each in entries]
                if ended or not follow:
                    return
                try:
                    async with self._clock.deadline(FOLLOW_POLL_SECONDS):
                        await wait()
                except TimeoutError:
                    continue

    async def wait(self, run_id: str) -> Run:
        """The run, once it has ended."""
        with self._signals.listen(journal_topic(run_id)) as wait:
            while (found := await self._get(run_id)).status in OPEN:
                try:
                    async with self._clock.deadline(FOLLOW_POLL_SECONDS):
                        await wait()
                except TimeoutError:
                    continue
            return found

    async def _get(self, run_id: str) -> Run:
        found = await self._ledger.find_run(run_id)
        if found is None:
            raise asked.missing("run", run_id)
        return found

    async def _documents(self, found: Sequence[Run]) -> list[Document]:
        deliveries = await self._deliveries(found)
        return [shapes.run(each, deliveries.get(each.run_id, ())) for each in found]

    async def _deliveries(self, found: Sequence[Run]) -> dict[str, list[DeliveryRecord]]:
        by_run: dict[str, list[DeliveryRecord]] = {}
        if found:
            run_ids = [each.run_id for each in found]
            records = await self._ledger.list_messages(limit=_DELIVERIES, run_ids=run_ids)
            for record in reversed(records):
                by_run.setdefault(record.message.run_id or "", []).append(record)
        return by_run


def _ended(status: RunStatus) -> str:
    return "been skipped" if status is RunStatus.SKIPPED else f"ended as {status.value}"
