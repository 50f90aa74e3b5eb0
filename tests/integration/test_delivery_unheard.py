"""Alerts that did not arrive: who hears of it instead, and what stays owed."""

import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "delivery"))

from delivery_desk import Desk, statuses  # pyright: ignore[reportMissingImports]
from delivery_samples import (  # pyright: ignore[reportMissingImports]
    alerting,
    definition,
    failure,
    webhook,
)
from failing_targets import until, when

from amodal_rt.delivery.backoff import LONGEST_FOR_ALERTS, UNHEARD_PAUSE
from amodal_rt.domain.breaker import FIRST_PAUSE
from amodal_rt.domain.condition import ConditionKind
from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.testing.receiver import Receiver

PAUSE = FIRST_PAUSE.total_seconds()


async def test_an_alert_that_died_is_told_to_the_workspace_with_what_it_said(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(410)
    desk.tell(webhook(receiver.url("/ops"), "ops"))
    known = definition(alert=alerting(webhook(receiver.url("/pager"), "pager")))
    async with desk.sending():
        await desk.finish(known, failure())
        await until(desk, dead=1, delivered=1)

    told = receiver.requests[-1]
    assert (told.path, told.json["condition"]) == ("/ops", "alert_failed")
    assert told.json["automation"] == "digest"
    assert told.json["subject"] == "pager"
    assert "HTTP 410 Gone" in told.json["error"]
    assert "It said: Daily Digest failed (timed_out)" in told.json["error"]


async def test_when_one_of_the_workspace_s_targets_fails_the_next_hears_of_it(
    desk: Desk, receiver: Receiver
) -> None:
    """`/pager` is dead, and so is `/first`: `/second` hears of both."""
    receiver.script(410)
    desk.tell(webhook(receiver.url("/first"), "first"), webhook(receiver.url("/second"), "second"))
    known = definition(alert=alerting(webhook(receiver.url("/pager"), "pager")))
    async with desk.sending():
        await desk.finish(known, failure())
        await receiver.received(1)
        await until(desk, dead=1, delivered=2)
        receiver.script(410)
        await _dead_to(desk, receiver, "first")
        await until(desk, dead=2, delivered=3)

    last = receiver.requests[-1]
    assert (last.path, last.json["condition"]) == ("/second", "alert_failed")
    assert (last.json["subject"], last.json["automation"]) == ("first", "other")
    conditions = await desk.ledger.conditions()
    assert not any(each.unreported for each in conditions)


async def test_a_second_alert_that_dies_at_the_same_target_is_passed_on_too(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(404, 404)
    desk.tell(webhook(receiver.url("/ops"), "ops"))
    known = definition(alert=alerting(webhook(receiver.url("/pager"), "pager")))

    async def tried_once() -> bool:
        return any(
            each.attempts == 1 and each.status is DeliveryStatus.PENDING
            for each in await desk.messages()
        )

    async with desk.sending():
        for number in (1, 2):
            await desk.finish(known, failure())
            await when(tried_once)
            desk.clock.advance(10)
            await until(desk, dead=number, delivered=number)
            receiver.script(404, 404)
            desk.clock.advance(timedelta(hours=2).total_seconds())

    lost = [each for each in await desk.messages() if each.status is DeliveryStatus.DEAD]
    told = [each.json["error"] for each in receiver.requests if each.path == "/ops"]
    assert len(lost) == len(told) == 2
    for record in lost:
        assert any(record.message.delivery_id in each for each in told)


async def test_when_all_are_gone_it_is_on_record_and_owed_but_not_sent_to_them(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(*[410] * 20)
    desk.tell(webhook(receiver.url("/first"), "first"), webhook(receiver.url("/second"), "second"))
    known = definition(alert=alerting(webhook(receiver.url("/pager"), "pager")))
    async with desk.sending():
        await desk.finish(known, failure())

        async def unreported() -> bool:
            return any(each.unreported for each in await desk.ledger.conditions())

        async def followed() -> bool:
            return not await desk.ledger.given_up(limit=1)

        await when(unreported)
        await until(desk, pending=4)
        await when(followed)
        desk.clock.advance(UNHEARD_PAUSE.total_seconds())
        await until(desk, pending=4)
        await when(followed)

    assert sorted(each.path for each in receiver.requests) == ["/first", "/pager", "/second"]
    conditions = await desk.ledger.conditions()
    assert {each.kind for each in conditions} == {ConditionKind.ALERT_FAILED}
    assert {each.subject for each in conditions} == {"pager", "first", "second"}


async def _lost_to_all(desk: Desk, receiver: Receiver) -> None:
    """An alert of a run that neither `/pager` nor, passed on, `/ops` has taken."""
    receiver.script(*[404] * 4)
    desk.tell(webhook(receiver.url("/ops"), "ops"))
    known = definition(alert=alerting(webhook(receiver.url("/pager"), "pager")))
    await desk.finish(known, failure())
    for number in (1, 2):
        await desk.settled(number)
        desk.clock.advance(10)

    async def owed_again() -> bool:
        found = await desk.messages()
        return [each.attempts for each in found] == [2, 2] and {*statuses(found)} == {"pending"}

    await when(owed_again)


async def test_an_alert_that_nobody_received_is_sent_again_until_its_target_takes_it(
    desk: Desk, receiver: Receiver
) -> None:
    async with desk.sending():
        await _lost_to_all(desk, receiver)
        begun = desk.clock.now()
        receiver.script(404, 404)
        desk.clock.advance(UNHEARD_PAUSE.total_seconds())
        await desk.settled(2, attempts=3)
        await until(desk, pending=2)
        desk.clock.advance(LONGEST_FOR_ALERTS.total_seconds())
        first, passed = await desk.settled(2, attempts=4)

    assert [each.status for each in (first, passed)] == [DeliveryStatus.DELIVERED] * 2
    assert first.message.expires_at - first.message.created_at == timedelta(hours=24)
    assert desk.clock.now() - begun == UNHEARD_PAUSE + LONGEST_FOR_ALERTS
    told = {each.path: each.json for each in receiver.requests[-2:]}
    assert told["/pager"]["status"] == "failure"
    assert told["/ops"]["delivery_id"] == first.message.delivery_id
    assert "It said: Daily Digest failed (timed_out)" in told["/ops"]["text"]


async def test_an_alert_that_nobody_received_before_it_expired_stays_on_record(
    desk: Desk, receiver: Receiver
) -> None:
    async with desk.sending():
        await _lost_to_all(desk, receiver)
        receiver.script(*[404] * 200)
        desk.clock.advance(timedelta(hours=25).total_seconds())
        await until(desk, expired=2)

        async def followed() -> bool:
            return not await desk.ledger.given_up(limit=1)

        await when(followed)

    assert len(receiver.requests) == 4
    assert any(each.unreported for each in await desk.ledger.conditions())


async def _dead_to(desk: Desk, receiver: Receiver, label: str) -> None:
    """A workspace alert that dies on its way to the target with that label."""
    snapshot = desk.snapshot()
    target = next(each for each in snapshot.settings.alerts.targets if each.label == label)
    other = definition(alert=alerting(target), name="other")
    await desk.finish(other, failure())
