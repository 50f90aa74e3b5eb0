"""What is sent again, when, and for how long."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from delivery_desk import Desk
from delivery_samples import NOW, completed, definition, webhook

from amodal_rt.domain.delivery import DeliveryRecord, DeliveryStatus, MessageKind
from amodal_rt.domain.secret import SecretRef
from amodal_rt.errors import UnavailableError
from amodal_rt.testing.receiver import Receiver, Scripted


async def test_an_answer_that_may_pass_is_followed_by_growing_pauses(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(500, 429, 408, Scripted(drop=True))
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        for attempts, pause in enumerate((5, 300, 1_800, 7_200), start=1):
            (record,) = await desk.settled(attempts=attempts)
            assert record.status is DeliveryStatus.PENDING
            assert record.next_attempt_at == desk.clock.now() + timedelta(seconds=pause)
            desk.clock.advance(pause)
        (record,) = await desk.settled(attempts=5)

    assert record.status is DeliveryStatus.DELIVERED
    assert len({request.message_id for request in receiver.requests}) == 1
    assert len(receiver.requests) == 5


async def test_a_target_that_never_answers_well_is_given_up_after_a_day(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(*[500] * 50)
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        attempts = 0
        while True:
            attempts += 1
            (record,) = await desk.settled(attempts=attempts)
            if record.next_attempt_at is None:
                break
            pause = record.next_attempt_at - desk.clock.now()
            desk.clock.advance(pause.total_seconds())

    assert record.status is DeliveryStatus.DEAD
    assert record.last_error == "HTTP 500 Internal Server Error"
    assert timedelta(hours=23) < desk.clock.now() - NOW < timedelta(hours=24)
    assert record.attempts == len(receiver.requests) == 8


async def test_retry_after_is_honoured(desk: Desk, receiver: Receiver) -> None:
    receiver.script(Scripted(status=429, headers={"Retry-After": "77"}))
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        (record,) = await desk.settled()

    assert record.next_attempt_at == NOW + timedelta(seconds=77)


async def test_a_server_that_hangs_is_left_after_ten_seconds(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(Scripted(hang=True))
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        await receiver.received()
        desk.clock.advance(10)
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.PENDING
    assert record.last_error == "no answer within 10 s"


async def test_what_will_not_change_is_tried_twice(desk: Desk, receiver: Receiver) -> None:
    receiver.script(404, 404)
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        (record,) = await desk.settled()
        assert record.status is DeliveryStatus.PENDING
        desk.clock.advance(5)
        (record,) = await desk.settled(attempts=2)

    assert record.status is DeliveryStatus.DEAD
    assert record.last_error == "HTTP 404 Not Found"


async def test_gone_is_final(desk: Desk, receiver: Receiver) -> None:
    receiver.script(Scripted(status=410, body=b"channel_is_archived\n"))
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.DEAD
    assert record.last_error == "HTTP 410 Gone: channel_is_archived"


async def test_an_unset_variable_is_named_and_looked_at_again(
    desk: Desk, receiver: Receiver
) -> None:
    target = replace(webhook(), url=SecretRef("HOOK_URL"))
    async with desk.sending():
        await desk.finish(definition(target), completed())
        (record,) = await desk.settled()
        assert "HOOK_URL" in str(record.last_error)
        desk.variables["HOOK_URL"] = receiver.url()
        desk.clock.advance(5)
        (record,) = await desk.settled(attempts=2)

    assert record.status is DeliveryStatus.DELIVERED


async def test_a_dead_letter_can_be_sent_again_by_hand(desk: Desk, receiver: Receiver) -> None:
    receiver.script(410)
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        (record,) = await desk.settled()
        now = desk.clock.now()
        await desk.ledger.retry_message(
            record.message.delivery_id, at=now, expires_at=now + timedelta(hours=24)
        )
        desk.signals.notify("outbox")
        (record,) = await desk.settled(attempts=2)

    assert record.status is DeliveryStatus.DELIVERED
    assert receiver.requests[0].message_id == receiver.requests[1].message_id


async def test_a_send_that_outlasts_the_stop_is_sent_again_at_the_next_start(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(Scripted(hang=True))
    async with desk.sending(stop=False):
        await desk.finish(definition(webhook(receiver.url())), completed())
        await receiver.received()
    (record,) = await desk.messages()
    assert record.status is DeliveryStatus.SENDING

    await desk.ledger.join(host="a", pid=1, version="1", lease=timedelta(hours=1))
    async with desk.sending():
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.DELIVERED
    first, second = receiver.requests
    assert first.message_id == second.message_id


async def test_a_message_whose_claim_was_not_answered_is_sent_all_the_same(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = desk.ledger.claim_messages

    async def unanswered(*, limit: int, now: datetime) -> list[DeliveryRecord]:
        if not await claim(limit=limit, now=now):
            return []
        monkeypatch.setattr(desk.ledger, "claim_messages", claim)
        raise UnavailableError("the connection was reset", code="ledger")

    monkeypatch.setattr(desk.ledger, "claim_messages", unanswered)
    await desk.finish(definition(webhook(receiver.url())), completed())
    async with desk.sending():
        while not receiver.requests:
            desk.clock.advance(1)
            await asyncio.sleep(0.01)
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.DELIVERED
    assert len(receiver.requests) == 1


async def test_a_message_past_its_day_is_not_sent(desk: Desk, receiver: Receiver) -> None:
    await desk.finish(definition(webhook(receiver.url())), completed())
    desk.clock.advance(timedelta(hours=25).total_seconds())
    async with desk.sending():
        (record,) = await desk.settled()

    assert record.status is DeliveryStatus.EXPIRED
    assert receiver.requests == []
    assert record.message.kind is MessageKind.RESULT
