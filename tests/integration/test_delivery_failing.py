"""Targets that fail, and alerts that do not arrive."""

import asyncio
import sys
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
    webhook,
)
from failing_targets import is_open, until, when

from amodal_rt.domain.breaker import FIRST_PAUSE, IN_A_ROW
from amodal_rt.domain.delivery import DeliveryRecord, DeliveryStatus, Target
from amodal_rt.domain.secret import SecretRef
from amodal_rt.testing.receiver import Receiver

PAUSE = FIRST_PAUSE.total_seconds()


async def _opened(desk: Desk, receiver: Receiver) -> Target:
    """A target that just failed too often in a row."""
    target = webhook(receiver.url("/bad"), "bad")
    receiver.script(*[503] * IN_A_ROW)
    await desk.finish(definition(*[target] * IN_A_ROW, name="noisy"), completed())
    await when(lambda: is_open(desk))
    return target


async def test_messages_to_a_target_that_keeps_failing_wait_and_others_go(
    desk: Desk, receiver: Receiver
) -> None:
    async with desk.sending():
        bad = await _opened(desk, receiver)
        await desk.finish(definition(bad, webhook(receiver.url("/ok"), "ok")), completed())
        await until(desk, delivered=1)

        (waiting,) = [each for each in await desk.messages() if each.attempts == 0]
        assert waiting.status is DeliveryStatus.PENDING

        async def waits() -> bool:
            (found,) = [each for each in await desk.messages() if each.attempts == 0]
            return found.next_attempt_at == desk.clock.now() + FIRST_PAUSE and "HTTP 503" in str(
                found.last_error
            )

        await when(waits)
        assert len(receiver.requests) == IN_A_ROW + 1


async def test_after_the_pause_one_is_tried_and_when_it_arrives_all_go(
    desk: Desk, receiver: Receiver
) -> None:
    async with desk.sending():
        bad = await _opened(desk, receiver)
        for _ in range(3):
            await desk.finish(definition(bad), completed())
        desk.clock.advance(PAUSE)
        await until(desk, delivered=3 + IN_A_ROW)

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
        await when(lambda: is_open(desk, opened=2))
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
            await until(again, expired=1, delivered=2)
        assert len(await again_messages(again)) == 3

    assert sorted(each.path for each in receiver.requests) == ["/ops", "/workspace"]
    alert = next(each.json for each in receiver.requests if each.path == "/ops")
    assert alert["reason"] == "delivery_failed"
    assert alert["error"] == "delivery to reports failed: it expired before it could be sent"


async def again_messages(desk: Desk) -> list[str]:
    async with desk.ledger:
        return list(statuses(await desk.messages()))


async def test_each_target_that_a_letter_does_not_reach_is_told(
    desk: Desk, receiver: Receiver
) -> None:
    receiver.script(410, 410)
    desk.tell(webhook(receiver.url("/ops"), "ops"))
    targets = [webhook(receiver.url(f"/{name}"), name) for name in ("one", "two")]
    async with desk.sending():
        await desk.finish(definition(*targets), completed())
        await until(desk, dead=2, delivered=2)

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
        await when(rests)
        await asyncio.sleep(0.05)
        before = len(asked)
        desk.clock.advance(0.2)

        async def asks_again() -> bool:
            return len(asked) > before

        await when(asks_again)

    assert before <= 3
