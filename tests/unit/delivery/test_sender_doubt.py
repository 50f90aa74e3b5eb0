"""A message whose sending was cut off from within."""

import asyncio
from pathlib import Path

from delivery_desk import Desk
from delivery_samples import completed, definition, webhook

from amodal_rt.domain.delivery import Attempt, DeliveryStatus
from amodal_rt.testing.receiver import Receiver


async def test_a_message_whose_sending_was_cancelled_is_sent_again(tmp_path: Path) -> None:
    desk, calls = Desk(tmp_path / "ledger.db"), list[Attempt]()

    async def cut_off_once(attempt: Attempt) -> None:
        calls.append(attempt)
        if len(calls) == 1:
            raise asyncio.CancelledError
        await record(attempt)

    async with desk.ledger, Receiver() as receiver:
        record = desk.ledger.record_attempt
        desk.ledger.record_attempt = cut_off_once
        async with desk.sending(), asyncio.timeout(20):
            await desk.finish(definition(webhook(receiver.url("/hook"))), completed())
            (message,) = await desk.settled()

    assert message.status is DeliveryStatus.DELIVERED
    assert len(receiver.requests) == 2
    assert len({each.headers["webhook-id"] for each in receiver.requests}) == 1
