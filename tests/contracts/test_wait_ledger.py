"""`ports.WaitLedger`, sentence by sentence."""

from collections.abc import Callable
from datetime import datetime, timedelta

import ledger_values as given
import pytest
from ledger_values import DAY, HOUR, MINUTE, NOW

from amodal_rt.domain.condition import Condition, ConditionKind, Ruling
from amodal_rt.domain.delivery import Attempt, AttemptResult, DeliveryRecord, OutboxMessage
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.ports import Ledger

PAUSES = (timedelta(0), timedelta(seconds=6), MINUTE)


async def shorten(ledger: Ledger, *, seen: bool = False, now: datetime = NOW) -> int:
    return await ledger.shorten_waits(now=now, pauses=PAUSES, kept=DAY, seen=seen)


async def put_back(ledger: Ledger, at: datetime, wait: timedelta) -> Run:
    """A run that failed at `at` and is to be tried again after `wait`."""
    run = await given.running(ledger)
    outcome = given.outcome(RunStatus.FAILED)
    assert await ledger.finish(run, outcome, at=at, plan=given.nothing, retry_at=at + wait)
    return run


async def not_before(ledger: Ledger, run: Run) -> datetime | None:
    found = await ledger.find_run(run.run_id)
    assert found is not None
    return found.not_before


async def message(ledger: Ledger, run: Run, tries: int, due: datetime) -> OutboxMessage:
    """A message that was tried so often and waits until `due`."""
    owed = given.message(run.run_id)
    await given.owed(ledger, owed)
    for number in range(tries):
        last = number == tries - 1
        await ledger.claim_messages(limit=100, now=NOW)
        await ledger.record_attempt(
            Attempt(
                delivery_id=owed.delivery_id,
                result=AttemptResult.RETRY,
                at=NOW,
                retry_at=due if last else NOW,
            )
        )
    return owed


def _always(condition: Condition) -> Callable[[Condition | None], Ruling]:
    return lambda _: Ruling(condition)


async def record(ledger: Ledger, owed: OutboxMessage) -> DeliveryRecord:
    found = await ledger.find_message(owed.delivery_id)
    assert found is not None
    return found


async def test_a_run_put_back_by_a_clock_that_was_ahead_waits_as_long_from_now(
    ledger: Ledger,
) -> None:
    run = await put_back(ledger, NOW + DAY, timedelta(seconds=15))

    assert await shorten(ledger) == 1

    assert await not_before(ledger, run) == NOW + timedelta(seconds=15)
    assert await shorten(ledger) == 0


async def test_a_run_put_back_by_a_clock_that_was_right_waits_on(ledger: Ledger) -> None:
    run = await put_back(ledger, NOW, DAY)
    skewed = await put_back(ledger, NOW + MINUTE, HOUR)

    assert await shorten(ledger, seen=True) == 0

    assert await not_before(ledger, run) == NOW + DAY
    assert await not_before(ledger, skewed) == NOW + MINUTE + HOUR


@pytest.mark.parametrize(("tries", "pause"), [(1, PAUSES[1]), (2, PAUSES[2]), (3, PAUSES[2])])
async def test_seen_to_be_set_back_no_message_waits_longer_than_its_longest_pause(
    ledger: Ledger, tries: int, pause: timedelta
) -> None:
    run = await given.running(ledger)
    owed = await message(ledger, run, tries, NOW + HOUR)

    assert await shorten(ledger) == 0
    assert await shorten(ledger, seen=True) == 1

    assert (await record(ledger, owed)).next_attempt_at == NOW + pause


async def test_a_shorter_wait_of_a_message_stays_as_it_is(ledger: Ledger) -> None:
    run = await given.running(ledger)
    due = NOW + timedelta(seconds=5)
    owed = await message(ledger, run, 1, due)

    assert await shorten(ledger, seen=True) == 0

    assert (await record(ledger, owed)).next_attempt_at == due


async def test_a_message_dated_ahead_proves_it_and_is_due_now_for_as_long_as_any(
    ledger: Ledger,
) -> None:
    run = await given.running(ledger)
    ahead = given.message(run.run_id, created_at=NOW + DAY, expires_at=NOW + 2 * DAY)
    await given.owed(ledger, ahead)

    assert await shorten(ledger) == 1

    found = await record(ledger, ahead)
    assert (found.next_attempt_at, found.message.expires_at) == (NOW, NOW + DAY)
    assert [each.message for each in await ledger.claim_messages(limit=9, now=NOW)] == [
        found.message
    ]


async def test_a_condition_dated_ahead_is_dated_now_so_that_what_follows_ends_it(
    ledger: Ledger,
) -> None:
    for key, since, cleared_at in (("a", NOW + DAY, None), ("b", NOW - HOUR, NOW + DAY)):
        condition = Condition(
            key=key,
            kind=ConditionKind.DEAD_LETTER,
            since=since,
            cleared_at=cleared_at,
            subject=key,
            told=True,
        )
        await ledger.rule_on_condition(key, _always(condition))

    await shorten(ledger)

    found = [await ledger.find_condition(key) for key in "ab"]
    assert [(each.since, each.cleared_at, each.told) for each in found if each] == [
        (NOW, None, True),
        (NOW - HOUR, NOW, True),
    ]


async def test_a_run_dated_ahead_proves_it_for_messages_too(ledger: Ledger) -> None:
    run = await given.running(ledger)
    owed = await message(ledger, run, 1, NOW + HOUR)
    await ledger.admit([given.start(created_at=NOW + HOUR)])

    assert await shorten(ledger) == 1

    assert (await record(ledger, owed)).next_attempt_at == NOW + PAUSES[1]
