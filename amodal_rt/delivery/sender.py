"""Carries the outbox's messages to their targets.

At least once: a message is claimed, sent and settled in this order, so that a crash between
sending and settling sends it again under the same `webhook-id`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from amodal_rt import failpoints
from amodal_rt.clock import Clock, iso
from amodal_rt.delivery.attempts import Attempts, Fill, Marks, Mask
from amodal_rt.delivery.callbacks import Callbacks
from amodal_rt.delivery.conditions import Conditions
from amodal_rt.delivery.following import Following
from amodal_rt.delivery.planner import DeliveryPlanner
from amodal_rt.delivery.readdressed import forget_readdressed
from amodal_rt.delivery.request import SECONDS
from amodal_rt.domain.delivery import Attempt, AttemptResult, DeliveryRecord
from amodal_rt.errors import NotFoundError, UnavailableError
from amodal_rt.guardrails.egress import Egress
from amodal_rt.ids import Ids
from amodal_rt.logs import Log, Spell
from amodal_rt.ports import (
    OUTBOX,
    BreakerLedger,
    Catalogue,
    ConditionLedger,
    Outbox,
    OwnEvents,
    Signals,
)

PARALLEL = 8
"""How many messages are under way at once."""
GRACE_SECONDS = SECONDS + 2
# The wall clock may be set while we sleep by the other one.
_LONGEST_SLEEP = 60.0
_LEDGER_PAUSE = 1.0
_LAST_SECONDS = 2.0
_BREATH = 0.2

_log = Log("delivery")


class SenderLedger(Outbox, BreakerLedger, ConditionLedger, Protocol):
    """What the sender needs of the ledger."""


class Sender:
    """The worker of the outbox. One per node.

    A target that fails harms no other: each message is tried on its own, until it arrives,
    cannot arrive, or is a day old, and while a target keeps failing the ledger gives out
    nothing for it but a trial now and then. What is given up is followed by alerts.
    """

    def __init__(
        self,
        *,
        outbox: SenderLedger,
        catalogue: Catalogue,
        egress: Egress,
        callbacks: Callbacks,
        signals: Signals,
        clock: Clock,
        ids: Ids,
        mask: Mask = str,
    ) -> None:
        self._outbox = outbox
        self._catalogue = catalogue
        self._signals = signals
        self._clock = clock
        self._following = Following(
            outbox=outbox,
            catalogue=catalogue,
            conditions=Conditions(
                ledger=outbox, catalogue=catalogue, signals=signals, clock=clock, ids=ids
            ),
            planner=DeliveryPlanner(ids),
            signals=signals,
            clock=clock,
        )
        self._attempts = Attempts(
            catalogue=catalogue,
            egress=egress,
            callbacks=callbacks,
            clock=clock,
            ids=ids,
            mask=mask,
        )
        self._sending: set[asyncio.Task[None]] = set()
        self._in_doubt = True
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._seen: int | None = None
        self._in_vain: datetime | None = None
        self._away = Spell(_log, clock, event="delivery.ledger_away", over="delivery.ledger_back")
        self.looked_at = clock.monotonic()
        """When it last looked for due messages, by the monotonic clock: at least every minute
        while all is well."""

    def mark_with(self, marks: Marks) -> None:
        """Give requests that lead back to this runtime the headers that it knows its own by."""
        self._attempts = replace(self._attempts, marks=marks)

    def fill_with(self, fill: Fill) -> None:
        """From now on, complete each message right before it leaves."""
        self._attempts = replace(self._attempts, fill=fill)

    def speak_with(self, own: OwnEvents) -> None:
        """From now on, say on the bus which messages were given up."""
        self._following.own = own

    async def run(self) -> None:
        """Send what is due, and what becomes due, until `stop`; once per object.

        Begins with what a crash left half sent. A ledger that is away is asked again.
        """
        self._ended.clear()
        try:
            with self._signals.listen(OUTBOX) as woken:
                while not self._stopping.is_set():
                    await self._patiently(self._claim)
                    await self._rest(woken)
            with suppress(TimeoutError):
                async with self._clock.deadline(GRACE_SECONDS):
                    await self._all_sent()
        finally:
            for task in self._sending:
                task.cancel()
            # Whatever swallows its cancellation is left behind: the next start sends it again.
            with suppress(TimeoutError):
                async with self._clock.deadline(_LAST_SECONDS):
                    await self._all_sent()
            self._ended.set()

    async def stop(self) -> None:
        """Claim nothing more, and return when the messages under way are settled.

        After the grace period of 12 s they are let go; the next start sends them again.
        """
        self._stopping.set()
        await self._ended.wait()

    async def _resolve_doubt(self) -> None:
        """What a life that ended left half sent, and what a claim took whose answer was lost:
        nobody would carry it."""
        if self._in_doubt:
            self._in_doubt = False
            sending = [task.get_name() for task in self._sending]
            try:
                released = await self._outbox.release_claims(sending=sending)
            except UnavailableError:
                self._in_doubt = True
                raise
            if released:
                _log.info("delivery.released", messages=released)

    async def _claim(self) -> None:
        self.looked_at = self._clock.monotonic()
        await self._resolve_doubt()
        free = PARALLEL - len(self._sending)
        if free <= 0:
            return
        snapshot = self._catalogue.snapshot()
        if snapshot.version != self._seen:
            await forget_readdressed(self._outbox, self._catalogue.environment())
            self._seen = snapshot.version
        now = self._clock.now()
        try:
            records = await self._outbox.claim_messages(limit=free, now=now)
        except UnavailableError:
            self._in_doubt = True
            raise
        self._in_vain = None if records else now
        for record in records:
            task = asyncio.create_task(self._carry(record), name=record.message.delivery_id)
            self._sending.add(task)
            task.add_done_callback(self._sent)
        # Claiming settles what has expired, and what is for a disabled target.
        await self._following.look()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if task.cancelled():
            # Stopping does so too: then the next start is in doubt anyway.
            self._in_doubt = True
        elif (error := task.exception()) is not None:
            _log.exception("delivery.lost", error, delivery=task.get_name())
            self._in_doubt = True

    async def _rest(self, woken: Callable[[], Awaitable[None]]) -> None:
        """Until a message is due and a place is free for it, or a stop is asked for; not at all
        where a message was let go while others were claimed, as nothing would tell of it."""
        if self._in_doubt:
            return
        waits = {asyncio.create_task(_wait(woken)), asyncio.create_task(_wait(self._stopping.wait))}
        if len(self._sending) < PARALLEL:
            waits.add(asyncio.create_task(self._patiently(self._sleep_until_due)))
        try:
            await asyncio.wait({*waits, *self._sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def _sleep_until_due(self) -> None:
        due = await self._outbox.next_due_at()
        seconds = _LONGEST_SLEEP if due is None else (due - self._clock.now()).total_seconds()
        if due is not None and self._in_vain is not None and due <= self._in_vain:
            # It was due and was not given to us: this node may claim nothing for the moment.
            seconds = max(seconds, _BREATH)
        await self._clock.sleep(min(seconds, _LONGEST_SLEEP))

    async def _carry(self, record: DeliveryRecord) -> None:
        attempt = await self._attempts.make(record)

        async def settle() -> None:
            with suppress(NotFoundError):
                failpoints.hit("delivery.before_record")
                await self._outbox.record_attempt(attempt)
                failpoints.hit("delivery.after_record")

        await self._patiently(settle)
        _report(record, attempt)
        if attempt.result is AttemptResult.DEAD:
            await self._patiently(self._following.look)

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work`, again and again while the ledger is away; a stop does not wait for it."""
        in_vain = False
        while True:
            try:
                await work()
                # What is only read goes well on a full disk too, and says nothing of its end.
                if in_vain:
                    self._away.ended()
                return
            except UnavailableError as error:
                in_vain = True
                self._away.failed(error=error.message)
                if self._stopping.is_set():
                    return
                await self._clock.sleep(_LEDGER_PAUSE)

    async def _all_sent(self) -> None:
        if self._sending:
            await asyncio.wait(self._sending)


async def _wait(something: Callable[[], Awaitable[object]]) -> None:
    await something()


def _report(record: DeliveryRecord, attempt: Attempt) -> None:
    fields: dict[str, object] = {
        "delivery": attempt.delivery_id,
        "run": record.message.run_id,
        "kind": record.message.kind.value,
        "target": record.message.target.label,
        "attempt": record.attempts + 1,
    }
    if attempt.result is AttemptResult.DELIVERED:
        _log.info("delivery.delivered", **fields)
    elif attempt.result is AttemptResult.RETRY:
        _log.warning("delivery.retried", **fields, error=attempt.error, next=iso(attempt.retry_at))
    elif attempt.result is AttemptResult.DEAD:
        _log.error("delivery.dead", **fields, error=attempt.error)
    else:
        _log.info("delivery.suppressed", **fields, error=attempt.error)
