"""What one node tells the others, and what it makes of their words."""

import asyncio
import logging

import pytest

from amodal_rt.daemon.neighbours import REREAD_SECONDS, Neighbours, SharedSignals
from amodal_rt.errors import UnavailableError
from amodal_rt.ports import FACTS, OUTBOX, RUNS_PENDING, SNAPSHOT, journal_topic
from amodal_rt.testing.clock import FakeClock


class Wire:
    """Satisfies `ledgers.Touch`."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def tell(self, topic: str) -> None:
        self.told.append(topic)

    async def run(self) -> None:
        await asyncio.Event().wait()


async def heard(signals: SharedSignals, topic: str) -> "asyncio.Task[None]":
    """Ends when the topic is notified."""
    listening = asyncio.Event()

    async def wait() -> None:
        with signals.listen(topic) as notified:
            listening.set()
            await notified()

    task = asyncio.create_task(wait())
    await listening.wait()
    return task


@pytest.mark.parametrize(
    ("topic", "is_told"),
    [
        (FACTS, True),
        (OUTBOX, True),
        (journal_topic("run_1"), True),
        # Its dispatcher tells one of them, and a snapshot is of this machine's files.
        (RUNS_PENDING, False),
        (SNAPSHOT, False),
    ],
)
async def test_what_concerns_others_is_told_to_them(topic: str, is_told: bool) -> None:
    signals, wire = SharedSignals(), Wire()
    signals.share(wire.tell)
    waiting = await heard(signals, topic)

    signals.notify(topic)
    await asyncio.wait_for(waiting, 5)

    assert wire.told == ([topic] if is_told else [])


async def test_facts_of_another_node_are_read_before_anybody_here_is_told() -> None:
    signals, wire, clock, order = SharedSignals(), Wire(), FakeClock(), []

    async def reread() -> None:
        order.append("read")

    neighbours = Neighbours(signals, reread=reread, clock=clock)
    running = asyncio.create_task(neighbours.run(wire))
    waiting = await heard(signals, FACTS)
    waiting.add_done_callback(lambda _: order.append("told"))
    await clock.settle()

    neighbours.hear(FACTS)
    await clock.settle()

    assert order == ["read", "told"]
    # Told again, the two would tell each other for ever.
    assert wire.told == []
    running.cancel()


async def test_facts_are_read_again_without_a_word_and_after_a_refusal() -> None:
    signals, clock, reads = SharedSignals(), FakeClock(), []

    async def reread() -> None:
        reads.append(len(reads))
        if len(reads) == 1:
            raise UnavailableError("away", code="ledger")

    running = asyncio.create_task(Neighbours(signals, reread=reread, clock=clock).run(Wire()))
    await clock.advance(REREAD_SECONDS * 2 + 0.1)

    assert len(reads) == 2
    running.cancel()


async def test_a_ledger_that_stays_away_is_told_of_ever_more_rarely(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "amodal_rt")
    clock, tries = FakeClock(), 60
    reads: list[None] = []

    async def reread() -> None:
        reads.append(None)
        if len(reads) < tries:
            raise UnavailableError("away", code="ledger")

    running = asyncio.create_task(
        Neighbours(SharedSignals(), reread=reread, clock=clock).run(Wire())
    )
    await clock.advance(REREAD_SECONDS * tries + 0.1)

    said = [each.getMessage() for each in caplog.records]
    assert 1 < said.count("node.facts_postponed") < tries / 4
    assert said[-1] == "node.facts_resumed"
    running.cancel()


async def test_other_words_wake_whoever_waits_here() -> None:
    signals, clock = SharedSignals(), FakeClock()

    async def reread() -> None:
        raise AssertionError

    waiting = await heard(signals, OUTBOX)

    Neighbours(signals, reread=reread, clock=clock).hear(OUTBOX)

    await asyncio.wait_for(waiting, 5)
