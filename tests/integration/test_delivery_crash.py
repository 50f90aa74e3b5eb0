"""A process that dies between the socket and the ledger sends again, under the same id."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "delivery"))

from delivery_desk import Desk  # pyright: ignore[reportMissingImports]
from delivery_life import POINTS, Lives, Places, Wish  # pyright: ignore[reportMissingImports]

from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.testing.receiver import Receiver, Scripted

DESK = Path(__file__).parents[1] / "unit" / "delivery"
CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {desk!r})
from delivery_desk import Desk
from delivery_samples import completed, definition, webhook

async def main(path, url, first):
    desk = Desk(Path(path))
    async with desk.ledger, desk.sending():
        if first == "first":
            await desk.finish(definition(webhook(url)), completed())
        await desk.settled()

asyncio.run(main(*sys.argv[1:]))
"""


async def _life(ledger: Path, receiver: Receiver, which: str, failpoints: str = "") -> int:
    """One process that owns the ledger until its message is settled; returns its status."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD.format(desk=str(DESK)),
        str(ledger),
        receiver.url("/hook"),
        which,
        env={**os.environ, "AMODAL_RT_FAILPOINTS": failpoints},
    )
    return await child.wait()


async def _record(ledger: Path) -> tuple[str, DeliveryStatus, int]:
    desk = Desk(ledger)
    async with desk.ledger:
        (record,) = await desk.messages()
    return record.message.delivery_id, record.status, record.attempts


async def test_killed_after_the_send_it_sends_the_same_id_again(
    tmp_path: Path, receiver: Receiver
) -> None:
    ledger = tmp_path / "ledger.db"

    died = await _life(ledger, receiver, "first", "delivery.after_send=kill")
    left = await _record(ledger)
    ended = await _life(ledger, receiver, "second")

    assert (died, ended) == (-signal.SIGKILL, 0)
    assert left[1] is DeliveryStatus.SENDING
    first, second = receiver.requests
    assert first.message_id == second.message_id == left[0]
    assert first.body == second.body
    assert await _record(ledger) == (left[0], DeliveryStatus.DELIVERED, 1)


async def test_killed_before_the_send_it_sends_once(tmp_path: Path, receiver: Receiver) -> None:
    ledger = tmp_path / "ledger.db"

    died = await _life(ledger, receiver, "first", "delivery.before_send=kill")
    assert receiver.requests == []
    ended = await _life(ledger, receiver, "second")

    assert (died, ended) == (-signal.SIGKILL, 0)
    assert len(receiver.requests) == 1
    assert (await _record(ledger))[1] is DeliveryStatus.DELIVERED


async def test_a_settled_message_is_not_sent_again(tmp_path: Path, receiver: Receiver) -> None:
    ledger = tmp_path / "ledger.db"
    receiver.script(Scripted(status=204))

    assert await _life(ledger, receiver, "first") == 0
    assert await _life(ledger, receiver, "second") == 0

    assert len(receiver.requests) == 1


async def test_an_error_after_the_send_is_a_failed_attempt(
    tmp_path: Path, receiver: Receiver
) -> None:
    """Whatever goes wrong on our side, the message stays owed."""
    ledger = tmp_path / "ledger.db"

    assert await _life(ledger, receiver, "first", "delivery.after_send=raise") == 0

    assert (await _record(ledger))[1:] == (DeliveryStatus.PENDING, 1)


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    with Lives() as made:
        yield made


@pytest.mark.parametrize("place", POINTS)
async def test_killed_anywhere_each_alert_arrives_and_no_other_is_made(
    tmp_path: Path, lives: Lives, place: str
) -> None:
    """A result dies, its automation and the workspace are told: one message each."""
    async with Places() as places:
        wish = Wish(ledger=str(tmp_path / "ledger.db"), url=places.url)
        died = await lives.live(replace(wish, runs="c", failpoints=f"{place}=kill"))
        ended = await lives.live(replace(wish, number=1))
        again = await lives.live(replace(wish, number=2))

    assert (died, ended, again) == (-signal.SIGKILL, 0, 0)
    for path in ("/gone", "/ops", "/workspace"):
        assert len(places.messages(path)) == 1
    assert places.most <= 2


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_killed_while_an_alert_is_stamped_the_cooldown_holds(
    tmp_path: Path, lives: Lives, nth: int
) -> None:
    """Each life fails once more: whatever the first one wrote, one alert is owed."""
    async with Places() as places:
        wish = Wish(ledger=str(tmp_path / "ledger.db"), url=places.url)
        kill = f"ledger.before_commit:{nth + 3}=kill,delivery.after_record:{nth}=kill"
        await lives.live(replace(wish, runs="f", failpoints=kill))
        for number in range(1, 4):
            later = replace(wish, number=number, after=600 * number, runs="f")
            assert await lives.live(later) == 0

    assert len(places.messages("/ops")) == 1
    assert places.most <= 2
