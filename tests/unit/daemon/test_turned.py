"""A wall clock that was ahead and is set right, over a ledger in memory."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.daemon.turned import LOOK_SECONDS, TurnedBack
from amodal_rt.delivery.backoff import LONGEST_PAUSES
from amodal_rt.domain.delivery import (
    Attempt,
    AttemptResult,
    MessageKind,
    OutboxMessage,
    Plan,
    Target,
    TargetType,
)
from amodal_rt.ports import OUTBOX
from amodal_rt.testing.clock import FakeClock
from amodal_rt.testing.ledger import MemoryLedger

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


class Scene:
    """A message of `digest` that was tried once and is tried again in five seconds."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.signals = ProcessSignals()
        self.ledger = MemoryLedger(clock=self.clock)

    async def message(self) -> None:
        now = self.clock.now()
        target = Target(type=TargetType.WEBHOOK, label="#ops", url="https://a.example/x")
        message = OutboxMessage(
            delivery_id="msg_1",
            run_id=None,
            automation="digest",
            kind=MessageKind.FAILURE_ALERT,
            target=target,
            body={},
            created_at=now,
            expires_at=now + DAY,
        )
        await self.ledger.owe("digest", lambda _: Plan((message,)))

    async def tried(self) -> None:
        now = self.clock.now()
        await self.ledger.claim_messages(limit=1, now=now)
        again = now + timedelta(seconds=5)
        await self.ledger.record_attempt(
            Attempt(delivery_id="msg_1", result=AttemptResult.RETRY, at=now, retry_at=again)
        )

    async def wait(self) -> float:
        """Seconds until the message is due."""
        due = await self.ledger.next_due_at()
        assert due is not None
        return (due - self.clock.now()).total_seconds()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        turned = TurnedBack(
            ledger=self.ledger,
            signals=self.signals,
            clock=self.clock,
            pauses=LONGEST_PAUSES,
            kept=DAY,
        )
        task = asyncio.create_task(turned.run())
        try:
            await self.clock.settle()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_clock_set_back_holds_no_message_up_and_its_sender_is_woken() -> None:
    scene = Scene()
    await scene.message()
    async with scene.watching():
        with scene.signals.listen(OUTBOX) as woken:
            scene.clock.jump(6 * HOUR)
            await scene.clock.advance(LOOK_SECONDS)
            await scene.tried()
            scene.clock.jump(-6 * HOUR)
            assert await scene.wait() > 6 * 3600

            await scene.clock.advance(LOOK_SECONDS)

            assert await scene.wait() <= 6
            await woken()


async def test_a_clock_set_back_by_seconds_or_set_forward_changes_nothing() -> None:
    scene = Scene()
    await scene.message()
    async with scene.watching():
        await scene.tried()
        await scene.clock.advance(LOOK_SECONDS)
        scene.clock.jump(-timedelta(seconds=50))
        await scene.clock.advance(LOOK_SECONDS)
        assert await scene.wait() == 50 - LOOK_SECONDS

        scene.clock.jump(timedelta(seconds=-30))
        await scene.clock.advance(LOOK_SECONDS)
        scene.clock.jump(HOUR)
        await scene.clock.advance(LOOK_SECONDS)

        assert await scene.wait() < 0


async def test_set_right_while_nobody_watched_what_was_made_ahead_proves_it() -> None:
    scene = Scene()
    scene.clock.jump(DAY)
    await scene.message()
    await scene.tried()
    scene.clock.jump(-DAY)

    async with scene.watching():
        assert await scene.wait() <= 6


async def test_a_ledger_that_is_away_is_asked_again() -> None:
    scene = Scene()
    await scene.message()
    async with scene.watching():
        scene.clock.jump(6 * HOUR)
        await scene.clock.advance(LOOK_SECONDS)
        await scene.tried()
        scene.clock.jump(-6 * HOUR)
        scene.ledger.faults.away = True
        await scene.clock.advance(LOOK_SECONDS)
        scene.ledger.faults.away = False
        assert await scene.wait() > 6 * 3600 - 10

        await scene.clock.advance(LOOK_SECONDS)

        assert await scene.wait() <= 6


async def test_a_ledger_that_stays_away_is_told_of_ever_more_rarely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "amodal_rt")
    scene = Scene()
    scene.ledger.faults.away = True
    async with scene.watching():
        for _ in range(59):
            await scene.clock.advance(LOOK_SECONDS)
        scene.ledger.faults.away = False
        await scene.clock.advance(LOOK_SECONDS)

    said = [(each.getMessage(), vars(each)["fields"]["times"]) for each in caplog.records]
    asked = [times for event, times in said if event == "clock.postponed"]
    assert asked == [1, 2, 4, 8, 16, 28, 40, 52]
    assert said[-1] == ("clock.resumed", 60)
