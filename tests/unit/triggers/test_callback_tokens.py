"""A token opens from the moment that its server can have it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from remote_desk import NINE, RemoteDesk, Rows, waiting

from amodal_rt.domain.remote_trigger import RemoteState, RemoteTrigger
from amodal_rt.errors import UnavailableError
from amodal_rt.testing.clock import FakeClock
from amodal_rt.triggers.callback_tokens import CallbackTokens, digest_of


def trigger(token: str) -> RemoteTrigger:
    return RemoteTrigger(
        automation="sort",
        key="0.0",
        connection="notes",
        type="item.created",
        params={},
        digest=digest_of(token),
        state=RemoteState.ACTIVE,
        configured_at=NINE,
    )


async def test_a_token_that_another_node_registered_this_moment_opens() -> None:
    rows = Rows()
    tokens = CallbackTokens(rows, FakeClock(NINE))
    assert await tokens.find("one") is None

    await rows.set_remote_trigger(trigger("one"))

    assert await tokens.find("one") == trigger("one")


async def test_a_token_opens_while_it_is_being_kept() -> None:
    desk = RemoteDesk()
    desk.put(waiting("sort", "notes.item.created"))
    desk.servers.closed["notes"] = asyncio.Event()

    async with desk.running() as remote:
        [token] = desk.servers.tokens()
        desk.rows.held = asyncio.Event()
        desk.servers.closed["notes"].set()
        await desk.clock.settle()
        assert len(desk.rows.kept) == 1

        assert await remote.tokens.find(token) is not None

        desk.rows.held.set()
        await desk.clock.settle()
        assert await remote.tokens.find(token) is not None


async def test_a_flood_of_wrong_tokens_shares_its_reads() -> None:
    rows = Rows()
    tokens = CallbackTokens(rows, clock := FakeClock(NINE))
    await tokens.find("none")
    await clock.advance(timedelta(seconds=5))
    rows.reads, rows.held = 0, asyncio.Event()

    asked = [asyncio.create_task(tokens.find(f"wrong {number}")) for number in range(100)]
    await clock.settle()
    await clock.advance(timedelta(milliseconds=1))
    rows.held.set()

    assert await asyncio.gather(*asked) == [None] * 100
    assert rows.reads <= 2


async def test_a_ledger_that_never_answered_says_nothing_of_a_token() -> None:
    class Away(Rows):
        async def remote_triggers(self) -> list[RemoteTrigger]:
            raise UnavailableError("the ledger is away", code="ledger")

    tokens = CallbackTokens(Away(), FakeClock(NINE))

    with pytest.raises(UnavailableError):
        await tokens.find("one")

    tokens.expect(replace(trigger("one"), connection="other"))
    with pytest.raises(UnavailableError):
        await tokens.find("two")
