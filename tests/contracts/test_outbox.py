"""`ports.Outbox`, sentence by sentence."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import ledger_values as given
import pytest
from ledger_values import DAY, HOUR, MINUTE, NOW

from amodal_rt.domain.delivery import (
    Attempt,
    AttemptResult,
    DeliveryRecord,
    DeliveryStatus,
    FailureState,
    Format,
    MessageKind,
    OutboxMessage,
    Plan,
    Target,
    TargetType,
)
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.secret import SecretRef
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.ports import Ledger


async def claimed(ledger: Ledger, now: datetime = NOW, limit: int = 100) -> list[str]:
    records = await ledger.claim_messages(limit=limit, now=now)
    return [record.message.delivery_id for record in records]


async def get(ledger: Ledger, message: OutboxMessage) -> DeliveryRecord:
    record = await ledger.find_message(message.delivery_id)
    assert record is not None
    return record


async def settle(
    ledger: Ledger, message: OutboxMessage, result: AttemptResult, at: datetime = NOW
) -> None:
    await claimed(ledger, at)
    retry_at = at + HOUR if result is AttemptResult.RETRY else None
    await ledger.record_attempt(
        Attempt(delivery_id=message.delivery_id, result=result, at=at, retry_at=retry_at)
    )


@pytest.mark.parametrize(
    "target",
    [
        Target(type=TargetType.CALLBACK, label="on_automation_result", name="audit"),
        Target(
            type=TargetType.WEBHOOK,
            label="SLACK_URL",
            url=SecretRef("SLACK_URL"),
            secret=SecretRef("SIGNING"),
            format=Format.SLACK,
        ),
    ],
)
async def test_a_message_comes_back_as_it_was_owed(
    ledger: Ledger, run_id: str, target: Target
) -> None:
    body = {"text": "ü", "data": {"rows": [1, 2.5, None]}}
    message = given.message(run_id, target=target, body=body)
    await given.owed(ledger, message)

    assert await get(ledger, message) == DeliveryRecord(
        message=message, status=DeliveryStatus.PENDING, next_attempt_at=NOW
    )


async def test_due_messages_are_claimed_oldest_due_first_up_to_the_limit(
    ledger: Ledger, run_id: str
) -> None:
    made = [given.message(run_id, created_at=NOW - k * MINUTE) for k in (1, 3, 2)]
    await given.owed(ledger, *made)

    assert await claimed(ledger, limit=2) == [made[1].delivery_id, made[2].delivery_id]
    assert (await get(ledger, made[1])).status is DeliveryStatus.SENDING


async def test_messages_that_are_not_due_are_not_claimed(ledger: Ledger, run_id: str) -> None:
    await given.owed(ledger, given.message(run_id, created_at=NOW + MINUTE))

    assert await claimed(ledger, NOW) == []
    assert len(await claimed(ledger, NOW + MINUTE)) == 1


async def test_no_message_is_claimed_twice(ledger: Ledger, run_id: str) -> None:
    await given.owed(ledger, *(given.message(run_id) for _ in range(40)))

    claims = await asyncio.gather(*(claimed(ledger, limit=3) for _ in range(30)))

    taken = [delivery_id for claim in claims for delivery_id in claim]
    assert len(taken) == len(set(taken)) == 40


async def test_messages_past_their_expiry_expire_and_are_not_returned(
    ledger: Ledger, run_id: str
) -> None:
    late = given.message(run_id, expires_at=NOW + MINUTE)
    await given.owed(ledger, late)

    assert await claimed(ledger, NOW + MINUTE) == []
    record = await get(ledger, late)
    assert (record.status, record.finished_at) == (DeliveryStatus.EXPIRED, NOW + MINUTE)


async def test_a_retry_that_would_come_too_late_expires_as_well(
    ledger: Ledger, run_id: str
) -> None:
    message = given.message(run_id, expires_at=NOW + MINUTE)
    await given.owed(ledger, message)
    await settle(ledger, message, AttemptResult.RETRY)

    assert await claimed(ledger, NOW + 2 * MINUTE) == []
    assert (await get(ledger, message)).status is DeliveryStatus.EXPIRED


async def test_suppressed_messages_are_never_due(ledger: Ledger, run_id: str) -> None:
    await given.owed(ledger, given.message(run_id, status=DeliveryStatus.SUPPRESSED))

    assert await ledger.next_due_at() is None
    assert await claimed(ledger, NOW + HOUR) == []


async def test_next_due_is_the_earliest_pending_message(ledger: Ledger, run_id: str) -> None:
    assert await ledger.next_due_at() is None
    await given.owed(
        ledger, *(given.message(run_id, created_at=NOW + k * MINUTE) for k in (0, 2, 1))
    )

    await claimed(ledger, NOW)

    assert await ledger.next_due_at() == NOW + MINUTE


async def test_each_attempt_is_counted_and_its_error_kept(ledger: Ledger, run_id: str) -> None:
    message = given.message(run_id)
    await given.owed(ledger, message)

    await claimed(ledger)
    await ledger.record_attempt(
        Attempt(
            delivery_id=message.delivery_id,
            result=AttemptResult.RETRY,
            at=NOW,
            retry_at=NOW + HOUR,
            error="answered 503",
        )
    )
    record = await get(ledger, message)
    assert (record.status, record.attempts) == (DeliveryStatus.PENDING, 1)
    assert (record.next_attempt_at, record.last_error) == (NOW + HOUR, "answered 503")

    await settle(ledger, message, AttemptResult.DELIVERED, NOW + HOUR)
    record = await get(ledger, message)
    assert (record.status, record.attempts) == (DeliveryStatus.DELIVERED, 2)
    assert (record.finished_at, record.next_attempt_at) == (NOW + HOUR, None)


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (AttemptResult.DELIVERED, DeliveryStatus.DELIVERED),
        (AttemptResult.DEAD, DeliveryStatus.DEAD),
        (AttemptResult.SUPPRESSED, DeliveryStatus.SUPPRESSED),
    ],
)
async def test_an_attempt_settles_a_message_for_good(
    ledger: Ledger, run_id: str, result: AttemptResult, status: DeliveryStatus
) -> None:
    message = given.message(run_id)
    await given.owed(ledger, message)
    await settle(ledger, message, result)

    await settle(ledger, message, AttemptResult.DELIVERED, NOW + HOUR)

    record = await get(ledger, message)
    assert (record.status, record.attempts, record.finished_at) == (status, 1, NOW)


async def test_an_attempt_of_an_unknown_message_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        await ledger.record_attempt(
            Attempt(delivery_id="msg_none", result=AttemptResult.DEAD, at=NOW)
        )


async def test_a_dead_result_counts_one_failure_and_no_other_kind_does(
    ledger: Ledger, run_id: str
) -> None:
    for kind in MessageKind:
        message = given.message(run_id, kind=kind)
        await given.owed(ledger, message)
        await settle(ledger, message, AttemptResult.DEAD)

    assert (await ledger.failure_state("digest")).consecutive == 1


async def test_dead_letters_and_failed_runs_are_one_count_that_completion_ends(
    ledger: Ledger, run_id: str
) -> None:
    message = given.message(run_id)
    await given.owed(ledger, message)
    await settle(ledger, message, AttemptResult.DEAD)

    await given.finished(ledger, status=RunStatus.FAILED)
    assert (await ledger.failure_state("digest")).consecutive == 2

    await given.finished(ledger)
    assert (await ledger.failure_state("digest")).consecutive == 0


async def test_released_claims_are_due_again(ledger: Ledger, run_id: str) -> None:
    messages = [given.message(run_id) for _ in range(3)]
    await given.owed(ledger, *messages)
    await claimed(ledger, limit=2)
    await given.joined(ledger)

    assert await ledger.release_claims() == 2
    assert await ledger.release_claims() == 0
    assert len(await claimed(ledger)) == 3


@pytest.mark.parametrize("result", [AttemptResult.DEAD, AttemptResult.SUPPRESSED])
async def test_a_settled_message_that_is_retried_is_due_now(
    ledger: Ledger, run_id: str, result: AttemptResult
) -> None:
    message = given.message(run_id)
    await given.owed(ledger, message)
    await settle(ledger, message, result)

    later = NOW + 3 * DAY
    await ledger.retry_message(message.delivery_id, at=later, expires_at=later + DAY)

    record = await get(ledger, message)
    assert (record.status, record.next_attempt_at) == (DeliveryStatus.PENDING, later)
    assert (record.message.expires_at, record.finished_at) == (later + DAY, None)
    assert (record.attempts, record.tries) == (1, 0)
    assert await claimed(ledger, later) == [message.delivery_id]


async def test_an_expired_message_can_be_retried(ledger: Ledger, run_id: str) -> None:
    message = given.message(run_id, expires_at=NOW + MINUTE)
    await given.owed(ledger, message)
    await claimed(ledger, NOW + HOUR)

    await ledger.retry_message(message.delivery_id, at=NOW + HOUR, expires_at=NOW + DAY)

    assert await claimed(ledger, NOW + HOUR) == [message.delivery_id]


async def test_what_arrived_is_not_retried(ledger: Ledger, run_id: str) -> None:
    message = given.message(run_id)
    await given.owed(ledger, message)
    await settle(ledger, message, AttemptResult.DELIVERED)

    with pytest.raises(ConflictError) as error:
        await ledger.retry_message(message.delivery_id, at=NOW, expires_at=NOW + DAY)

    assert error.value.code == "delivered"


async def test_what_is_being_sent_is_not_retried(ledger: Ledger, run_id: str) -> None:
    message = given.message(run_id)
    await given.owed(ledger, message)
    await claimed(ledger)

    with pytest.raises(ConflictError):
        await ledger.retry_message(message.delivery_id, at=NOW, expires_at=NOW + DAY)


async def test_a_retry_of_an_unknown_message_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        await ledger.retry_message("msg_none", at=NOW, expires_at=NOW + DAY)


async def test_unknown_messages_are_none(ledger: Ledger) -> None:
    assert await ledger.find_message("msg_none") is None


async def test_messages_are_listed_newest_first_by_each_filter(ledger: Ledger, run_id: str) -> None:
    other = await given.running(ledger, "other")
    first, second = given.message(run_id), given.message(run_id, kind=MessageKind.RECOVERY)
    third = given.message(other.run_id, "other")
    await given.owed(ledger, first, second, third)
    await settle(ledger, first, AttemptResult.DEAD)

    async def listed(limit: int = 10, **wanted: Any) -> list[str]:
        records = await ledger.list_messages(limit=limit, **wanted)
        return [record.message.delivery_id for record in records]

    assert await listed() == [third.delivery_id, second.delivery_id, first.delivery_id]
    assert await listed(limit=1) == [third.delivery_id]
    assert await listed(status=DeliveryStatus.DEAD) == [first.delivery_id]
    assert await listed(run_ids=[run_id]) == [second.delivery_id, first.delivery_id]
    assert await listed(run_ids=[]) == []
    assert await listed(kind=MessageKind.RECOVERY) == [second.delivery_id]


async def test_owe_commits_what_the_plan_says_of_the_current_state(
    ledger: Ledger, run_id: str
) -> None:
    dead = given.message(run_id)
    await given.owed(ledger, dead)
    await settle(ledger, dead, AttemptResult.DEAD)
    alert = given.message(run_id, kind=MessageKind.FAILURE_ALERT)
    told: list[FailureState] = []

    def plan(state: FailureState) -> Plan:
        told.append(state)
        return Plan((alert,), ("dead letter",))

    planned = await ledger.owe("digest", plan)

    assert told[-1] == FailureState(consecutive=1)
    assert planned.messages == (alert,)
    assert (await get(ledger, alert)).status is DeliveryStatus.PENDING
    notes = await ledger.entries(run_id)
    assert [(entry.type, entry.data) for entry in notes] == [
        (EntryType.RUN_NOTE, {"note": "dead letter"})
    ]


async def test_failure_states_survive_a_second_look(ledger: Ledger, run_id: str) -> None:
    alert = given.message(run_id, kind=MessageKind.FAILURE_ALERT)
    await given.owed(ledger, alert)
    stamp = NOW + timedelta(milliseconds=7)

    await settle(ledger, alert, AttemptResult.DELIVERED, stamp)

    state = await ledger.failure_state("digest")
    assert state.told(alert.target).alerted_at == stamp
