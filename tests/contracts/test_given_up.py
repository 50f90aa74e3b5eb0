"""`ports.Outbox` about messages that will not arrive: each is followed up once."""

import asyncio
from datetime import datetime

import ledger_values as given
import pytest
from ledger_values import DAY, HOUR, MINUTE, NOW

from amodal_rt.domain.delivery import (
    Attempt,
    AttemptResult,
    DeliveryStatus,
    FailureState,
    MessageKind,
    OutboxMessage,
    Plan,
    Target,
    TargetType,
)
from amodal_rt.errors import NotFoundError
from amodal_rt.ports import Ledger


async def die(ledger: Ledger, message: OutboxMessage, at: datetime = NOW) -> None:
    await given.owed(ledger, message)
    await ledger.claim_messages(limit=100, now=at)
    dead = Attempt(delivery_id=message.delivery_id, result=AttemptResult.DEAD, at=at, error="no")
    await ledger.record_attempt(dead)


async def unfollowed(ledger: Ledger) -> list[str]:
    return [each.message.delivery_id for each in await ledger.given_up(limit=100)]


async def test_what_died_and_what_expired_is_given_up_oldest_first(
    ledger: Ledger, run_id: str
) -> None:
    expiring = given.message(run_id, expires_at=NOW + MINUTE)
    dying = given.message(run_id, kind=MessageKind.FAILURE_ALERT)
    await given.owed(ledger, expiring)
    await die(ledger, dying)
    await ledger.record_attempt(
        Attempt(
            delivery_id=expiring.delivery_id,
            result=AttemptResult.RETRY,
            at=NOW,
            retry_at=NOW + 2 * MINUTE,
        )
    )
    assert await unfollowed(ledger) == [dying.delivery_id]

    await ledger.claim_messages(limit=1, now=NOW + HOUR)

    assert await unfollowed(ledger) == [expiring.delivery_id, dying.delivery_id]
    assert len(await ledger.given_up(limit=1)) == 1


async def test_what_arrived_or_is_tried_again_is_not_given_up(ledger: Ledger, run_id: str) -> None:
    arrived, waiting = given.message(run_id), given.message(run_id)
    await given.owed(ledger, arrived, waiting)
    await ledger.claim_messages(limit=2, now=NOW)
    await ledger.record_attempt(
        Attempt(delivery_id=arrived.delivery_id, result=AttemptResult.DELIVERED, at=NOW)
    )
    await ledger.record_attempt(
        Attempt(
            delivery_id=waiting.delivery_id, result=AttemptResult.RETRY, at=NOW, retry_at=NOW + HOUR
        )
    )

    assert await unfollowed(ledger) == []


async def test_an_expired_result_counts_one_failure_and_an_expired_alert_none(
    ledger: Ledger, run_id: str
) -> None:
    await given.owed(
        ledger,
        given.message(run_id, expires_at=NOW + MINUTE),
        given.message(run_id, kind=MessageKind.FAILURE_ALERT, expires_at=NOW + MINUTE),
    )

    await ledger.claim_messages(limit=10, now=NOW + HOUR)
    await ledger.claim_messages(limit=10, now=NOW + HOUR)

    assert (await ledger.failure_state("digest")).consecutive == 1


async def test_an_expired_rehearsal_is_suppressed_and_nobody_hears_of_it(
    ledger: Ledger, run_id: str
) -> None:
    rehearsed = given.message(run_id, expires_at=NOW + MINUTE, body={"model": "rehearsal"})
    await given.owed(ledger, rehearsed)

    await ledger.claim_messages(limit=10, now=NOW + HOUR)

    record = await ledger.find_message(rehearsed.delivery_id)
    assert record is not None
    assert record.status is DeliveryStatus.SUPPRESSED
    assert await unfollowed(ledger) == []
    assert (await ledger.failure_state("digest")).consecutive == 0


async def test_a_follow_up_is_committed_once_however_many_ask(ledger: Ledger, run_id: str) -> None:
    dead = given.message(run_id)
    await die(ledger, dead)
    alerts = [given.message(run_id, kind=MessageKind.FAILURE_ALERT) for _ in range(10)]
    told: list[FailureState] = []

    def plan(number: int, state: FailureState) -> Plan:
        told.append(state)
        return Plan((alerts[number],))

    plans = await asyncio.gather(
        *(
            ledger.follow_up(dead.delivery_id, lambda state, n=n: plan(n, state))
            for n in range(len(alerts))
        )
    )

    assert [len(each.messages) for each in plans].count(1) == 1
    assert told[0] == FailureState(consecutive=1)
    assert await unfollowed(ledger) == []
    owed = await ledger.list_messages(limit=100, kind=MessageKind.FAILURE_ALERT)
    assert len(owed) == 1


async def test_nothing_follows_what_was_not_given_up(ledger: Ledger, run_id: str) -> None:
    waiting = given.message(run_id)
    await given.owed(ledger, waiting)
    alert = given.message(run_id, kind=MessageKind.FAILURE_ALERT)

    for delivery_id in (waiting.delivery_id, "msg_none"):
        assert await ledger.follow_up(delivery_id, given.owing(alert)) == Plan()

    assert await ledger.find_message(alert.delivery_id) is None


async def test_a_message_about_no_automation_is_owed_and_followed(ledger: Ledger) -> None:
    alert = given.message(
        None, None, kind=MessageKind.WORKSPACE_ALERT, body={"condition": "queue_full"}
    )
    await given.owed_by_a_condition(ledger, alert)
    (record,) = await ledger.claim_messages(limit=10, now=NOW)
    assert record.message == alert

    await ledger.record_attempt(
        Attempt(delivery_id=alert.delivery_id, result=AttemptResult.DEAD, at=NOW)
    )

    assert await unfollowed(ledger) == [alert.delivery_id]
    assert await ledger.follow_up(alert.delivery_id, given.nothing) == Plan()
    assert await unfollowed(ledger) == []


async def test_a_message_that_a_person_sends_again_needs_no_follow_up(
    ledger: Ledger, run_id: str
) -> None:
    dead = given.message(run_id)
    await die(ledger, dead)

    await ledger.retry_message(dead.delivery_id, at=NOW, expires_at=NOW + DAY)

    assert await unfollowed(ledger) == []


async def test_all_since_an_instant_are_due_again_oldest_first_by_label(
    ledger: Ledger, run_id: str
) -> None:
    old, first, second = (given.message(run_id) for _ in range(3))
    other = given.message(
        run_id, target=Target(type=TargetType.WEBHOOK, label="#other", url="https://b.example/")
    )
    arrived = given.message(run_id)
    await die(ledger, old, NOW)
    for each in (first, second, other):
        await die(ledger, each, NOW + HOUR)
    await given.owed(ledger, arrived)

    async def again(label: str | None) -> list[str]:
        return await ledger.retry_messages(
            since=NOW + HOUR, at=NOW + 2 * HOUR, expires_at=NOW + DAY, label=label
        )

    assert await again("#reports") == [first.delivery_id, second.delivery_id]
    assert await again(None) == [other.delivery_id]
    assert await again(None) == []
    record = await ledger.find_message(first.delivery_id)
    assert record is not None
    assert (record.status, record.next_attempt_at) == (DeliveryStatus.PENDING, NOW + 2 * HOUR)
    assert record.message.expires_at == NOW + DAY


async def test_what_arrived_since_is_known_by_automation_and_by_target(
    ledger: Ledger, run_id: str
) -> None:
    result = given.message(run_id)
    alert = given.message(run_id, "other", kind=MessageKind.FAILURE_ALERT)
    await given.owed(ledger, result, alert)
    await ledger.claim_messages(limit=10, now=NOW)
    for each in (result, alert):
        await ledger.record_attempt(
            Attempt(delivery_id=each.delivery_id, result=AttemptResult.DELIVERED, at=NOW)
        )

    assert await ledger.has_delivered(NOW, automation="digest")
    assert not await ledger.has_delivered(NOW + MINUTE, automation="digest")
    assert not await ledger.has_delivered(NOW, automation="other")
    assert await ledger.has_delivered(NOW, target=alert.target.key)
    assert not await ledger.has_delivered(NOW, target="webhook env:OTHER")


async def test_what_arrived_at_one_target_says_nothing_of_a_later_letter_or_another_target(
    ledger: Ledger, run_id: str
) -> None:
    other = Target(type=TargetType.WEBHOOK, label="#other", url="https://b.example/")
    result, elsewhere = given.message(run_id), given.message(run_id, target=other)
    await given.owed(ledger, result, elsewhere)
    await ledger.claim_messages(limit=10, now=NOW)
    for each in (result, elsewhere):
        await ledger.record_attempt(
            Attempt(delivery_id=each.delivery_id, result=AttemptResult.DELIVERED, at=NOW)
        )
    await die(ledger, given.message(run_id), NOW + MINUTE)

    async def arrives(target: Target) -> bool:
        return await ledger.has_delivered(NOW, automation="digest", target=target.key)

    assert not await arrives(result.target)
    assert await arrives(other)
    assert await ledger.has_delivered(NOW, target=result.target.key)


async def test_an_alert_that_was_given_up_can_be_owed_again_until_it_expires(
    ledger: Ledger, run_id: str
) -> None:
    alert = given.message(run_id, kind=MessageKind.FAILURE_ALERT, expires_at=NOW + HOUR)
    await die(ledger, alert)
    await ledger.follow_up(alert.delivery_id, lambda _: Plan())

    assert not await ledger.owe_again(alert.delivery_id, at=NOW + HOUR)
    assert await ledger.owe_again(alert.delivery_id, at=NOW + MINUTE)
    assert not await ledger.owe_again(alert.delivery_id, at=NOW + MINUTE)

    assert await unfollowed(ledger) == []
    assert await ledger.next_due_at() == NOW + MINUTE
    (again,) = await ledger.claim_messages(limit=9, now=NOW + MINUTE)
    assert again.message == alert
    assert (again.attempts, again.tries, again.finished_at) == (1, 1, None)


async def test_only_an_alert_that_was_given_up_is_owed_again(ledger: Ledger, run_id: str) -> None:
    result = given.message(run_id)
    arrived = given.message(run_id, kind=MessageKind.FAILURE_ALERT)
    await die(ledger, result)
    await given.owed(ledger, arrived)
    await ledger.claim_messages(limit=9, now=NOW)
    sent = Attempt(delivery_id=arrived.delivery_id, result=AttemptResult.DELIVERED, at=NOW)
    await ledger.record_attempt(sent)

    assert not await ledger.owe_again(result.delivery_id, at=NOW)
    assert not await ledger.owe_again(arrived.delivery_id, at=NOW)
    with pytest.raises(NotFoundError):
        await ledger.owe_again("msg_0000000000000000", at=NOW)
