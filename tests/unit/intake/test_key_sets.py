"""Public keys of senders: asked for seldom, kept while they cannot be had, and never for ever."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from amodal_rt.errors import DeniedError, UnavailableError
from amodal_rt.intake.signatures.key_sets import (
    AGAIN_SECONDS,
    GOOD_SECONDS,
    KEPT_SECONDS,
    MOST_KEYS,
    KeySets,
)
from amodal_rt.testing.clock import FakeClock

URL = "https://sender.example/jwks.json"
GONE = UnavailableError("it answered 500")


def said(*names: str) -> bytes:
    return json.dumps({"keys": [{"kty": "EC", "kid": each} for each in names]}).encode()


@dataclass
class Sender:
    """What stands at the URL, one answer a time."""

    answers: list[bytes | Exception]
    clock: FakeClock = field(default_factory=lambda: FakeClock(datetime(2026, 3, 2, tzinfo=UTC)))
    asked: int = 0
    held: asyncio.Event | None = None

    def __post_init__(self) -> None:
        self.sets = KeySets(self.fetch, self.clock)

    async def fetch(self, url: str) -> bytes:
        assert url == URL
        self.asked += 1
        if self.held is not None:
            await self.held.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def names(self) -> list[str]:
        return [json.loads(each)["kid"] for each in await self.sets.keys(URL)]


async def test_keys_are_asked_for_once_in_ten_minutes() -> None:
    sender = Sender([said("a"), said("b")])

    assert [await sender.names() for _ in range(3)] == [["a"]] * 3
    await sender.clock.advance(GOOD_SECONDS)
    assert await sender.names() == ["b"]
    assert sender.asked == 2


async def test_the_last_ones_count_while_there_are_no_others_and_not_for_ever() -> None:
    sender = Sender([said("a"), GONE, TimeoutError(), DeniedError("no", code="egress")])
    await sender.names()

    for seconds in (GOOD_SECONDS, AGAIN_SECONDS, KEPT_SECONDS - GOOD_SECONDS - AGAIN_SECONDS):
        assert await sender.names() == ["a"]
        await sender.clock.advance(seconds)
    with pytest.raises(UnavailableError, match="cannot be had"):
        await sender.names()


@pytest.mark.parametrize(
    "answer", [GONE, b"", b"{}", b"[1]", b'{"keys": {}}', b"[" * 100_000, b"\xff"]
)
async def test_without_any_there_is_nothing_to_go_by(answer: bytes | Exception) -> None:
    sender = Sender([answer, said("a")])

    for _ in range(2):
        with pytest.raises(UnavailableError):
            await sender.names()
    assert sender.asked == 1
    await sender.clock.advance(AGAIN_SECONDS)
    assert await sender.names() == ["a"]


async def test_a_key_that_nobody_knows_is_looked_for_at_most_once_a_minute() -> None:
    sender = Sender([said("a"), said("a"), said("a", "b")])
    await sender.names()

    assert [await sender.sets.renewed(URL) for _ in range(9)] == [False] * 9
    await sender.clock.advance(AGAIN_SECONDS)
    assert [await sender.sets.renewed(URL) for _ in range(9)] == [False] * 9
    await sender.clock.advance(AGAIN_SECONDS)
    assert await sender.sets.renewed(URL) is True
    assert await sender.names() == ["a", "b"]
    assert sender.asked == 3


async def test_of_many_who_wait_one_asks() -> None:
    sender = Sender([said("a"), said("b")])
    sender.held = asyncio.Event()
    waiting = [asyncio.create_task(sender.names()) for _ in range(5)]
    await sender.clock.settle()

    sender.held.set()

    assert [await each for each in waiting] == [["a"]] * 5
    # Later the others are not kept waiting either.
    sender.held.clear()
    await sender.clock.advance(GOOD_SECONDS)
    first = asyncio.create_task(sender.names())
    await sender.clock.settle()
    assert await sender.names() == ["a"]
    sender.held.set()
    assert await first == ["b"]
    assert sender.asked == 2


async def test_a_set_has_a_bound() -> None:
    sender = Sender([said(*map(str, range(MOST_KEYS + 5)))])

    assert len(await sender.names()) == MOST_KEYS
