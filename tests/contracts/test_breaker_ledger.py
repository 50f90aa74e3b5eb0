"""`ports.BreakerLedger`, and what breakers do to the outbox."""

from datetime import datetime, timedelta

import ledger_values as given
from ledger_values import DAY, HOUR, NOW

from amodal_rt.domain.breaker import FIRST_PAUSE, IN_A_ROW, TRIAL, BreakerState, Health
from amodal_rt.domain.delivery import (
    Attempt,
    AttemptResult,
    DeliveryRecord,
    DeliveryStatus,
    OutboxMessage,
    Target,
    TargetType,
)
from amodal_rt.domain.secret import SecretRef
from amodal_rt.ports import Ledger

BAD = Target(type=TargetType.WEBHOOK, label="#bad", url=SecretRef("BAD_URL"))
KEY = "webhook env:BAD_URL"


async def attempt(
    ledger: Ledger, message: OutboxMessage, health: Health | None, at: datetime = NOW
) -> None:
    """One try of a message that is claimed; a bad one ends it, for brevity."""
    result = AttemptResult.DELIVERED if health is Health.GOOD else AttemptResult.DEAD
    await ledger.record_attempt(
        Attempt(
            delivery_id=message.delivery_id,
            result=result,
            at=at,
            health=health,
            error="HTTP 503",
            address="a1",
        )
    )


async def fail(
    ledger: Ledger, run_id: str, times: int = IN_A_ROW, health: Health = Health.BAD
) -> None:
    """So many messages fail at the target, now."""
    made = [given.message(run_id, target=BAD) for _ in range(times)]
    await given.owed(ledger, *made)
    await ledger.claim_messages(limit=1000, now=NOW)
    for each in made:
        await attempt(ledger, each, health)


async def claimed(ledger: Ledger, now: datetime, limit: int = 100) -> list[str]:
    records = await ledger.claim_messages(limit=limit, now=now)
    return [record.message.delivery_id for record in records]


async def get(ledger: Ledger, message: OutboxMessage) -> DeliveryRecord:
    record = await ledger.find_message(message.delivery_id)
    assert record is not None
    return record


async def test_a_target_that_is_well_has_no_breaker(ledger: Ledger, run_id: str) -> None:
    message = given.message(run_id, target=BAD)
    await given.owed(ledger, message)
    await claimed(ledger, NOW)
    await attempt(ledger, message, Health.GOOD)

    assert await ledger.breakers() == []


async def test_an_attempt_that_says_nothing_of_the_target_moves_nothing(
    ledger: Ledger, run_id: str
) -> None:
    message = given.message(run_id, target=BAD)
    await given.owed(ledger, message)
    await claimed(ledger, NOW)
    await attempt(ledger, message, None)

    assert await ledger.breakers() == []


async def test_failures_in_a_row_open_it_and_what_is_due_waits_uncounted(
    ledger: Ledger, run_id: str
) -> None:
    await fail(ledger, run_id)
    (breaker,) = await ledger.breakers()
    assert (breaker.target, breaker.label, breaker.state) == (KEY, "#bad", BreakerState.OPEN)
    assert (breaker.open_until, breaker.error) == (NOW + FIRST_PAUSE, "HTTP 503")
    assert (breaker.consecutive, breaker.address) == (IN_A_ROW, "a1")
    assert breaker.failing_since == NOW

    waiting, other = given.message(run_id, target=BAD), given.message(run_id)
    await given.owed(ledger, waiting, other)

    assert await claimed(ledger, NOW) == [other.delivery_id]
    record = await get(ledger, waiting)
    assert (record.status, record.attempts) == (DeliveryStatus.PENDING, 0)
    assert record.next_attempt_at == NOW + FIRST_PAUSE
    assert "HTTP 503" in str(record.last_error)
    assert await ledger.next_due_at() == NOW + FIRST_PAUSE


async def test_a_message_does_not_wait_beyond_its_expiry(ledger: Ledger, run_id: str) -> None:
    await fail(ledger, run_id)
    soon = given.message(run_id, target=BAD, expires_at=NOW + FIRST_PAUSE / 2)
    await given.owed(ledger, soon)

    assert await claimed(ledger, NOW) == []
    assert (await get(ledger, soon)).next_attempt_at == NOW + FIRST_PAUSE / 2
    assert await claimed(ledger, NOW + FIRST_PAUSE / 2) == []
    assert (await get(ledger, soon)).status is DeliveryStatus.EXPIRED


async def test_after_the_pause_one_message_is_tried_and_the_others_wait(
    ledger: Ledger, run_id: str
) -> None:
    await fail(ledger, run_id)
    first, second = (given.message(run_id, target=BAD) for _ in range(2))
    await given.owed(ledger, first, second)
    await claimed(ledger, NOW)
    later = NOW + FIRST_PAUSE

    assert await claimed(ledger, later) == [first.delivery_id]
    assert await claimed(ledger, later) == []
    assert (await ledger.breakers())[0].state is BreakerState.HALF_OPEN

    await attempt(ledger, first, Health.GOOD, later)

    assert await ledger.breakers() == []
    assert await claimed(ledger, later) == [second.delivery_id]


async def test_a_trial_that_is_not_claimed_yet_stays_the_trial(ledger: Ledger, run_id: str) -> None:
    await fail(ledger, run_id)
    ahead = given.message(run_id)
    trial = given.message(run_id, target=BAD)
    await given.owed(ledger, trial)
    await claimed(ledger, NOW)
    await given.owed(ledger, ahead)
    later = NOW + FIRST_PAUSE

    assert await claimed(ledger, later, limit=1) == [ahead.delivery_id]
    assert await claimed(ledger, later, limit=1) == [trial.delivery_id]


async def test_a_trial_that_fails_opens_it_for_longer(ledger: Ledger, run_id: str) -> None:
    await fail(ledger, run_id)
    first, second = (given.message(run_id, target=BAD) for _ in range(2))
    await given.owed(ledger, first, second)
    await claimed(ledger, NOW)
    later = NOW + FIRST_PAUSE
    await claimed(ledger, later)
    await attempt(ledger, first, Health.BAD, later)

    (breaker,) = await ledger.breakers()
    assert (breaker.state, breaker.open_until) == (BreakerState.OPEN, later + 2 * FIRST_PAUSE)
    assert await claimed(ledger, later + TRIAL) == []
    assert await claimed(ledger, later + 2 * FIRST_PAUSE) == [second.delivery_id]


async def test_a_trial_nothing_is_heard_of_is_followed_by_another(
    ledger: Ledger, run_id: str
) -> None:
    await fail(ledger, run_id)
    first, second = (given.message(run_id, target=BAD) for _ in range(2))
    await given.owed(ledger, first, second)
    later = NOW + FIRST_PAUSE
    assert await claimed(ledger, later) == [first.delivery_id]

    assert await claimed(ledger, later + TRIAL / 2) == []
    assert await claimed(ledger, later + TRIAL) == [second.delivery_id]


async def test_gone_disables_the_target_and_what_is_due_dies_without_a_try(
    ledger: Ledger, run_id: str
) -> None:
    await fail(ledger, run_id, 1, Health.GONE)
    late = given.message(run_id, target=BAD)
    await given.owed(ledger, late)

    assert await claimed(ledger, NOW + 3 * DAY / 4) == []
    record = await get(ledger, late)
    assert (record.status, record.attempts) == (DeliveryStatus.DEAD, 0)
    assert "disabled" in str(record.last_error)
    assert late.delivery_id in {r.message.delivery_id for r in await ledger.given_up(limit=10)}
    assert (await ledger.failure_state("digest")).consecutive == 2


async def test_a_retry_by_hand_takes_the_target_for_well_again(ledger: Ledger, run_id: str) -> None:
    await fail(ledger, run_id, 1, Health.GONE)
    (dead,) = await ledger.list_messages(limit=10)

    await ledger.retry_message(dead.message.delivery_id, at=NOW, expires_at=NOW + DAY)

    assert await ledger.breakers() == []
    assert await claimed(ledger, NOW) == [dead.message.delivery_id]


async def test_forgetting_a_breaker_makes_due_what_waited_and_nothing_else(
    ledger: Ledger, run_id: str
) -> None:
    await fail(ledger, run_id)
    held = given.message(run_id, target=BAD)
    backing_off = given.message(run_id, target=BAD, created_at=NOW + HOUR)
    await given.owed(ledger, held, backing_off)
    await claimed(ledger, NOW)

    assert await ledger.forget_breaker(KEY)
    assert not await ledger.forget_breaker(KEY)

    assert await claimed(ledger, NOW) == [held.delivery_id]
    assert (await get(ledger, backing_off)).next_attempt_at == NOW + HOUR


async def test_breakers_are_listed_by_key_as_they_were_kept(ledger: Ledger, run_id: str) -> None:
    other = Target(type=TargetType.CALLBACK, label="ui", name="ui")
    at = NOW + timedelta(milliseconds=5)
    message = given.message(run_id, target=other)
    await given.owed(ledger, message)
    await fail(ledger, run_id, 2)
    await attempt(ledger, message, Health.BAD, at)

    first, second = await ledger.breakers()
    assert (first.target, first.tries) == ("callback ui", ((at, False),))
    assert (second.target, second.state) == (KEY, BreakerState.CLOSED)
    assert second.tries == ((NOW, False), (NOW, False))
    assert first.changed_at == at
