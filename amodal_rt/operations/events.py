"""Events: how webhooks, integrations and callbacks become runs, and what is on record of them."""

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from amodal_rt.clock import Clock
from amodal_rt.domain.event import Rejection
from amodal_rt.errors import AmodalError, UnavailableError
from amodal_rt.intake import answers
from amodal_rt.intake.requests import Answer, RawRequest, Refusal, Verified
from amodal_rt.logs import Log
from amodal_rt.operations import asked, shapes
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.overflow import Overflow
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import QUEUE_FULL, RUNS_PENDING, Caller, Ledger, Receipt, Signals
from amodal_rt.triggers.matching import Matching

_log = Log("webhooks")


class Intake(Protocol):
    """Judges raw requests."""

    async def verify(self, request: RawRequest) -> Verified | Refusal | Answer:
        """The event to commit, the refusal, or the answer to a challenge."""
        ...


class Events:
    """Commits before it answers: what was acknowledged is on disk."""

    def __init__(
        self,
        webhooks: Intake,
        integrations: Intake,
        callbacks: Intake,
        ledger: Ledger,
        facts: KnownFacts,
        matching: Matching,
        *,
        signals: Signals,
        clock: Clock,
    ) -> None:
        self._overflow: Overflow | None = None
        self._webhooks = webhooks
        self._integrations = integrations
        self._callbacks = callbacks
        self._ledger = ledger
        self._facts = facts
        self._signals = signals
        self._clock = clock
        self._matching = matching

    def count_with(self, overflow: Overflow) -> None:
        """From now on, count what a full queue refuses."""
        self._overflow = overflow

    async def accept_webhook(self, request: RawRequest) -> Answer:
        """The answer of specification §4.2. Raises UnavailableError when nothing is durable."""
        judged = await self._webhooks.verify(request)
        if isinstance(judged, Verified):
            return _shown(judged, answers.received(await self._commit(judged)))
        return await self._other(judged)

    async def accept_integration(self, request: RawRequest) -> Answer:
        """As `accept_webhook`, for an event that starts whatever waits for it: each automation
        at most once. Its runs are committed with it."""
        judged = await self._integrations.verify(request)
        if isinstance(judged, Verified):
            return _shown(judged, answers.broadcast(await self._commit(judged)))
        return await self._other(judged)

    async def accept_callback(self, request: RawRequest) -> Answer:
        """202 `{ok, type}` once what an MCP server reports is on record, also where it was seen
        before or its run is skipped. Raises UnavailableError when nothing is durable."""
        judged = await self._callbacks.verify(request)
        if isinstance(judged, Verified):
            await self._commit(judged)
            return answers.called_back(judged.event)
        return await self._other(judged)

    async def rejections(self, caller: Caller, *, limit: int = 50) -> list[Document]:
        """Requests on known endpoints that were refused, newest first."""
        return [shapes.rejection(each) for each in await self._ledger.list_rejections(limit=limit)]

    async def show(self, caller: Caller, event_id: str) -> Document:
        """One event with its data. Raises NotFoundError."""
        found = await self._ledger.find_event(event_id)
        if found is None:
            raise asked.missing("event", event_id)
        return shapes.event_in_full(found)

    async def _other(self, judged: Refusal | Answer) -> Answer:
        if isinstance(judged, Answer):
            return judged
        if judged.rejection:
            await self._remember(judged.rejection)
        return answers.refused(judged)

    async def _commit(self, verified: Verified) -> Receipt:
        try:
            async with self._deadline(verified.seconds):
                receipt = await self._accept(verified)
        except TimeoutError:
            # It may be on disk by now: then what is sent again is told that it is a duplicate.
            raise UnavailableError("no answer in time", code="timed_out") from None
        except UnavailableError as error:
            if error.code == "queue_full":
                self._signals.notify(QUEUE_FULL)
                if self._overflow is not None:
                    self._overflow.note(verified.endpoint, verified.event)
            raise
        if not receipt.duplicate and receipt.runs:
            self._signals.notify(RUNS_PENDING)
        return receipt

    def _deadline(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return nullcontext() if seconds is None else self._clock.deadline(seconds)

    async def _accept(self, verified: Verified) -> Receipt:
        starts, missed = self._matching.starts_for(
            verified.event, verified.snapshot, self._facts.current, now=self._clock.now()
        )
        return await self._ledger.accept(
            verified.event,
            dedup=verified.dedup,
            starts=starts,
            missed=missed,
            queue_limit=verified.snapshot.settings.limits.queue,
        )

    async def _remember(self, rejection: Rejection) -> None:
        try:
            await self._ledger.reject(rejection)
        except AmodalError as error:
            # The sender is refused either way, and must not be told to come again.
            _log.warning("webhook.rejection_lost", code=error.code, reason=rejection.reason)


def _shown(verified: Verified, answer: Answer) -> Answer:
    """The answer as the sender wants it: some take any body for a failure."""
    return Answer(status=204, text="") if verified.silent else answer
