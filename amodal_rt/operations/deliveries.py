"""The verbs of deliveries: list, show, retry."""

from datetime import timedelta

from amodal_rt.clock import Clock
from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.errors import InvalidError
from amodal_rt.operations import asked, shapes
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import OUTBOX, Caller, Ledger, Signals

RETRY_WINDOW = timedelta(hours=24)
"""How long a message that a person sends again may take (specification §7)."""


class Deliveries:
    """Answers from the outbox; what is made due again, the sender takes from there."""

    def __init__(self, ledger: Ledger, *, signals: Signals, clock: Clock) -> None:
        self._ledger = ledger
        self._signals = signals
        self._clock = clock

    async def list_all(
        self, caller: Caller, *, status: DeliveryStatus | None = None, limit: int = 50
    ) -> list[Document]:
        """Messages, newest first."""
        found = await self._ledger.list_messages(limit=limit, status=status)
        return [shapes.delivery(each) for each in found]

    async def show(self, caller: Caller, delivery_id: str) -> Document:
        """One message with its body. Raises NotFoundError."""
        found = await self._ledger.find_message(delivery_id)
        if found is None:
            raise asked.missing("delivery", delivery_id)
        return shapes.delivery_in_full(found)

    async def retry_all(
        self, caller: Caller, *, since: str | None, target: str | None = None
    ) -> list[Document]:
        """Make due now all that died or expired since then, of targets with that label only.

        `since` is an instant or an age (`24h`). Returns the messages, oldest first; none is no
        error. Raises InvalidError (`bad_instant`).
        """
        now = self._clock.now()
        begin = asked.instant(since, now=now)
        if begin is None:
            raise InvalidError(
                "say since when", code="bad_instant", hint='for example "24h", for a day ago'
            )
        found = await self._ledger.retry_messages(
            since=begin,
            at=now,
            expires_at=now + RETRY_WINDOW,
            label=target or None,
            caller=caller,
        )
        self._signals.notify(OUTBOX)
        return [await self.show(caller, delivery_id) for delivery_id in found]

    async def retry(self, caller: Caller, delivery_id: str) -> Document:
        """Make a message that was given up due now. Raises NotFoundError, ConflictError."""
        now = self._clock.now()
        await self._ledger.retry_message(
            delivery_id, at=now, expires_at=now + RETRY_WINDOW, caller=caller
        )
        self._signals.notify(OUTBOX)
        return await self.show(caller, delivery_id)
