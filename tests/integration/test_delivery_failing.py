"""Targets that fail, and alerts that do not arrive."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "delivery"))

from delivery_desk import Desk, statuses  # pyright: ignore[reportMissingImports]
from delivery_samples import (  # pyright: ignore[reportMissingImports]
    alerting,
    completed,
    definition,
    failure,
    webhook,
)

from amodal_rt.delivery.backoff import LONGEST_FOR_ALERTS, UNHEARD_PAUSE
from amodal_rt.domain.breaker import FIRST_PAUSE, IN_A_ROW, BreakerState
from amodal_rt.domain.condition import ConditionKind
from amodal_rt.domain.delivery import DeliveryRecord, DeliveryStatus, Target
from amodal_rt.domain.secret import SecretRef
from amodal_rt.testing.receiver import Receiver

PAUSE = FIRST_PAUSE.total_seconds()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as made:
        yield made


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "ledger.db")
    async with made.ledger:
        yield made


async def _when(look: Callable[[], Awaitable[object]]) -> None:
    """Until what it looks for is so."""
    while True:
        if await look():
            return
        await asyncio.sleep(0.005)


async def _until(desk: Desk, **counts: int) -> None:
    """Until so many messages have each status."""

    async def reached() -> bool:
        found = list(statuses(await desk.messages()))
        return all(found.count(status) >= count for status, count in counts.items())

    await _when(reached)


async def _is_open(desk: Desk, opened: int = 1) -> bool:
    found = [each for each in await desk.ledger.breakers() if each.state is BreakerState.OPEN]
    return any(each.opened == opened for each in found)


async def _opened(desk: Desk, receiver: Receiver) -> Target:
    """A target that just failed too often in a row."""
    target = webhook(receiver.url("/bad"), "bad")
    receiver.script(*[503] * IN_A_ROW)
    await desk.finish(definition(*[target] * IN_A_ROW, name="noisy"), completed())
    await _when(lambda: _is_open(desk))
    return target


async def test_messages_to_a_target_that_keeps_failing_wait_and_others_go(
    desk: Desk, receiver: Receiver
) -> None:
    async with desk.sending():
        bad = await _opened(desk, receiver)
        await desk.finish(definition(bad, webhook(receiver.url("/ok"), "ok")), completed())
        await _until(desk, delivered=1)

        (waiting,) = [each for each in await desk.messages() if each.attempts == 0]
        assert waiting.status is DeliveryStatus.PENDING

        async def waits() -> bool:
            (found,) = [each for each in await desk.messages() if each.attempts == 0]
            return found.next_attempt_at == desk.clock.now() + FIRST_PAUSE and "HTTP 503" in str(
                found.last_error
            )

        await _when(waits)
        assert len(receiver.requests) == IN_A_ROW + 1


async def test_after_the_pause_one_is_tried_and_when_it_arrives_all_go(
    desk: Desk, receiver: Receiver
) -> None:
    async with desk.sending():
        bad = await _opened(desk, receiver)
        for _ in range(3):
            await desk.finish(definition(bad), completed())
        desk.clock.advance(PAUSE)
        await _until(desk, delivered=3 + IN_A_ROW)

    assert await desk.ledger.breakers() == []
    assert len(receiver.requests) == 3 + 2 * IN_A_ROW


async def test_a_trial_that_fails_is_alone(desk: Desk, receiver: Receiver) -> None:
    async with desk.sending():
        bad = await _opened(desk, receiver)
        receiver.script(*[503] * 50)
        for _ in range(5):
            await desk.finish(definition(bad), completed())
        await asyncio.sleep(0.05)
        desk.clock.advance(PAUSE)
        await _when(lambda: _is_open(desk, opened=2))
        await asyncio.sleep(0.05)

    assert len(receiver.requests) == IN_A_ROW + 1


async def test_a_restart_keeps_the_breaker(tmp_path: Path, receiver: Receiver) -> None:
    first = Desk(tmp_path / "ledger.db")
    async with first.ledger, first.sending():
        bad = await _opened(first, receiver)
    second = Desk(tmp_path / "ledger.db", first)
    async with second.ledger, second.sending():
        await second.finish(definition(bad), completed())
        await asyncio.sleep(0.1)

    assert len(receiver.requests) == IN_A_ROW


async def test_gone_stops_all_that_follows_until_the_variable_leads_elsewhere(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(410)
    desk.variables["HOOK"] = receiver.url("/old")
    known = definition(replace(webhook(), url=SecretRef("HOOK")))
    async with desk.sending():
        await desk.finish(known, completed())
        await desk.settled()
        await desk.finish(known, completed())
        _, second = await desk.settled(2)
    assert (second.status, second.attempts) == (DeliveryStatus.DEAD, 0)
    assert second.last_error == "the target is disabled: HTTP 410 Gone"

    desk.variables["HOOK"] = receiver.url("/new")
    async with desk.sending():
        await desk.finish(known, completed())
        *_, third = await desk.settled(3)

    assert third.status is DeliveryStatus.DELIVERED
    assert [each.path for each in receiver.requests] == ["/old", "/new"]


async def test_a_refused_address_says_nothing_of_the_target(desk: Desk, receiver: Receiver) -> None:
    async with desk.sending(allow=()):
        await desk.finish(definition(*[webhook(receiver.url())] * 8), completed())
        await desk.settled(8)

    assert await desk.ledger.breakers() == []


async def test_a_result_that_expired_while_nobody_was_there_alerts_once(
    tmp_path: Path, receiver: Receiver
) -> None:
    known = definition(
        webhook(receiver.url("/reports")), alert=alerting(webhook(receiver.url("/ops"), "ops"))
    )
    first = Desk(tmp_path / "ledger.db")
    first.tell(webhook(receiver.url("/workspace"), "workspace"))
    async with first.ledger:
        await first.finish(known, completed())
    first.clock.advance(timedelta(hours=30).total_seconds())
    for _ in range(3):
        again = Desk(tmp_path / "ledger.db", first)
        async with again.ledger, again.sending():
            await _until(again, expired=1, delivered=2)
        assert len(await again_messages(again)) == 3

    assert sorted(each.path for each in receiver.requests) == ["/ops", "/workspace"]
    alert = next(each.json for each in receiver.requests if each.path == "/ops")
    assert alert["reason"] == "delivery_failed"
    assert alert["error"] == "delivery to reports failed: it expired before it could be sent"


async def again_messages(desk: Desk) -> list[str]:
    async with desk.ledger:
        return list(statuses(await desk.messages()))


async def test_an_alert_that_died_is_told_to_the_workspace_with_what_it_said(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(410)
    desk.tell(webhook(receiver.url("/ops"), "ops"))
    known = definition(alert=alerting(webhook(receiver.url("/pager"), "pager")))
    async with desk.sending():
        await desk.finish(known, failure())
        await _until(desk, dead=1, delivered=1)

    told = receiver.requests[-1]
    assert (told.path, told.json["condition"]) == ("/ops", "alert_failed")
    assert told.json["automation"] == "digest"
    assert told.json["subject"] == "pager"
    assert "HTTP 410 Gone" in told.json["error"]
    assert "It said: Daily Digest failed (timed_out)" in told.json["error"]


async def test_each_target_that_a_letter_does_not_reach_is_told(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(410, 410)
    desk.tell(webhook(receiver.url("/ops"), "ops"))
    targets = [webhook(receiver.url(f"/{name}"), name) for name in ("one", "two")]
    async with desk.sending():
        await desk.finish(definition(*targets), completed())
        await _until(desk, dead=2, delivered=2)

    told = [each.json for each in receiver.requests if each.path == "/ops"]
    assert {each["subject"] for each in told} == {"digest to one", "digest to two"}
    assert {each["condition"] for each in told} == {"dead_letter"}


async def test_what_is_sent_again_by_hand_is_tried_again_as_soon_as_something_new(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(404, 404, 503, 503)
    async with desk.sending():
        await desk.finish(definition(webhook(receiver.url())), completed())
        await desk.settled()
        desk.clock.advance(10)
        (dead,) = await desk.settled(attempts=2)
        now = desk.clock.now()
        await desk.ledger.retry_message(
            dead.message.delivery_id, at=now, expires_at=now + timedelta(hours=24)
        )
        desk.signals.notify("outbox")
        (record,) = await desk.settled(attempts=3)

    assert dead.status is DeliveryStatus.DEAD
    assert record.next_attempt_at == now + timedelta(seconds=5)


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
        await _until(desk, dead=1, delivered=2)
        receiver.script(410)
        await _dead_to(desk, receiver, "first")
        await _until(desk, dead=2, delivered=3)

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
            await _when(tried_once)
            desk.clock.advance(10)
            await _until(desk, dead=number, delivered=number)
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

        await _when(unreported)
        await _until(desk, pending=4)
        await _when(followed)
        desk.clock.advance(UNHEARD_PAUSE.total_seconds())
        await _until(desk, pending=4)
        await _when(followed)

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

    await _when(owed_again)


async def test_an_alert_that_nobody_received_is_sent_again_until_its_target_takes_it(
    desk: Desk, receiver: Receiver
) -> None:
    async with desk.sending():
        await _lost_to_all(desk, receiver)
        begun = desk.clock.now()
        receiver.script(404, 404)
        desk.clock.advance(UNHEARD_PAUSE.total_seconds())
        await desk.settled(2, attempts=3)
        await _until(desk, pending=2)
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
        await _until(desk, expired=2)

        async def followed() -> bool:
            return not await desk.ledger.given_up(limit=1)

        await _when(followed)

    assert len(receiver.requests) == 4
    assert any(each.unreported for each in await desk.ledger.conditions())


async def _dead_to(desk: Desk, receiver: Receiver, label: str) -> None:
    """A workspace alert that dies on its way to the target with that label."""
    snapshot = desk.snapshot()
    target = next(each for each in snapshot.settings.alerts.targets if each.label == label)
    other = definition(alert=alerting(target), name="other")
    await desk.finish(other, failure())


async def test_a_node_that_may_claim_nothing_does_not_ask_without_a_breath(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []

    async def nothing(*, limit: int, now: datetime) -> list[DeliveryRecord]:
        asked.append(now)
        return []

    monkeypatch.setattr(desk.ledger, "claim_messages", nothing)
    await desk.finish(definition(webhook(receiver.url())), completed())

    async def rests() -> bool:
        return bool(asked) and any(at == pytest.approx(0.2) for at in desk.clock.timers.values())

    async with desk.sending():
        await _when(rests)
        await asyncio.sleep(0.05)
        before = len(asked)
        desk.clock.advance(0.2)

        async def asks_again() -> bool:
            return len(asked) > before

        await _when(asks_again)

    assert before <= 3
