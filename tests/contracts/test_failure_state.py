"""`ports.Outbox` about alerts and recoveries: what each target was told."""

from datetime import datetime

import ledger_values as given
from ledger_values import HOUR, NOW

from amodal_rt.domain.delivery import (
    Attempt,
    AttemptResult,
    FailureState,
    MessageKind,
    OutboxMessage,
    Target,
    TargetType,
    Told,
)
from amodal_rt.ports import Ledger

OPS = Target(type=TargetType.WEBHOOK, label="#ops", url="https://ops.example/x")
PAGER = Target(type=TargetType.WEBHOOK, label="#pager", url="https://pager.example/x")


async def owed(
    ledger: Ledger, run_id: str, kind: MessageKind = MessageKind.FAILURE_ALERT, to: Target = OPS
) -> OutboxMessage:
    message = given.message(run_id, kind=kind, target=to)
    await given.owed(ledger, message)
    return message


async def settle(
    ledger: Ledger, message: OutboxMessage, result: AttemptResult, at: datetime = NOW
) -> None:
    await ledger.claim_messages(limit=100, now=at)
    retry_at = at + HOUR if result is AttemptResult.RETRY else None
    await ledger.record_attempt(
        Attempt(delivery_id=message.delivery_id, result=result, at=at, retry_at=retry_at)
    )


def told(ops: Told | None = None, pager: Told | None = None) -> FailureState:
    known = {OPS.key: ops, PAGER.key: pager}
    return FailureState(known={key: each for key, each in known.items() if each})


async def test_an_owed_alert_is_open_until_it_is_delivered(ledger: Ledger, run_id: str) -> None:
    alert = await owed(ledger, run_id)
    assert await ledger.failure_state("digest") == told(Told(alert_open=True))

    await settle(ledger, alert, AttemptResult.RETRY)
    assert await ledger.failure_state("digest") == told(Told(alert_open=True))
    await settle(ledger, alert, AttemptResult.DELIVERED, NOW + HOUR)

    assert await ledger.failure_state("digest") == told(Told(alerted_at=NOW + HOUR, alerting=True))


async def test_a_dead_alert_is_open_no_more_and_stamps_nothing(ledger: Ledger, run_id: str) -> None:
    await settle(ledger, await owed(ledger, run_id), AttemptResult.DEAD)

    assert await ledger.failure_state("digest") == FailureState()


async def test_a_delivered_recovery_clears_alerting(ledger: Ledger, run_id: str) -> None:
    await settle(ledger, await owed(ledger, run_id), AttemptResult.DELIVERED)
    assert (await ledger.failure_state("digest")).told(OPS).alerting

    recovery = await owed(ledger, run_id, MessageKind.RECOVERY)
    # One notice is under way: a second completed run owes no second one.
    assert not (await ledger.failure_state("digest")).told(OPS).alerting
    await settle(ledger, recovery, AttemptResult.DELIVERED)

    assert await ledger.failure_state("digest") == told(Told(alerted_at=NOW))


async def test_a_recovery_that_died_is_due_again(ledger: Ledger, run_id: str) -> None:
    alert = await owed(ledger, run_id)
    recovery = await owed(ledger, run_id, MessageKind.RECOVERY)

    await settle(ledger, alert, AttemptResult.DELIVERED)
    await settle(ledger, recovery, AttemptResult.DEAD)

    assert (await ledger.failure_state("digest")).told(OPS).alerting


async def test_what_waits_for_one_target_says_nothing_of_another(
    ledger: Ledger, run_id: str
) -> None:
    alert = await owed(ledger, run_id)
    await owed(ledger, run_id, to=PAGER)
    await settle(ledger, alert, AttemptResult.DELIVERED)
    waiting = Told(alert_open=True)
    assert await ledger.failure_state("digest") == told(
        Told(alerted_at=NOW, alerting=True), waiting
    )

    recovery = await owed(ledger, run_id, MessageKind.RECOVERY)
    await settle(ledger, recovery, AttemptResult.DELIVERED)

    assert await ledger.failure_state("digest") == told(Told(alerted_at=NOW), waiting)


async def test_a_late_recovery_does_not_end_a_later_alert(ledger: Ledger, run_id: str) -> None:
    await settle(ledger, await owed(ledger, run_id), AttemptResult.DELIVERED)
    recovery = await owed(ledger, run_id, MessageKind.RECOVERY)
    await settle(ledger, recovery, AttemptResult.RETRY)
    again = await owed(ledger, run_id)
    await settle(ledger, again, AttemptResult.DELIVERED)
    assert (await ledger.failure_state("digest")).told(OPS).alerting

    await settle(ledger, recovery, AttemptResult.DELIVERED, NOW + HOUR)

    assert (await ledger.failure_state("digest")).told(OPS).alerting
    assert (await ledger.failure_state("other")) == FailureState()
