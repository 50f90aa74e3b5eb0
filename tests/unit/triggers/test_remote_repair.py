"""What servers, ledgers and nodes do wrong is seen and mended, and no callback is lost over it."""

import asyncio
from dataclasses import replace

import pytest
from remote_desk import RemoteDesk, refused, server, waiting

from amodal_rt.domain.remote_trigger import RemoteState
from amodal_rt.triggers.callback_tokens import digest_of
from amodal_rt.triggers.remote import BLIND_SECONDS, MOST_SPARES, RENEW_SECONDS
from amodal_rt.triggers.remote_standing import LONGEST_PAUSE_SECONDS, LOOK_SECONDS


@pytest.fixture
async def desk() -> RemoteDesk:
    return RemoteDesk()


async def test_a_refusal_keeps_no_token_is_shown_and_tried_again_later_and_later(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.servers.answers = [refused() for _ in range(3)]

    async with desk.running() as remote:
        [standing] = remote.standings()
        assert (standing.state, standing.error) == (RemoteState.FAILED, "it said no")
        assert standing.retry_at is not None
        assert desk.rows.kept == {}
        assert await desk.opens(remote, desk.servers.tokens()[0]) is None
        counts: list[int] = []
        for _ in range(8):
            await desk.clock.advance(15)
            counts.append(len(desk.servers.told))
        assert counts == [2, 2, 3, 3, 3, 3, 4, 4]
        [standing] = remote.standings()
        assert (standing.state, standing.error) == (RemoteState.ACTIVE, None)
        assert len(set(desk.servers.tokens())) == 4


async def test_silence_keeps_the_token_as_ambiguous_and_is_shown_as_a_failure(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.servers.answers = [TimeoutError()]

    async with desk.running() as remote:
        [standing] = remote.standings()
        assert standing.state is RemoteState.AMBIGUOUS
        assert "did not answer" in (standing.error or "")
        [row] = desk.rows.kept.values()
        assert row.state is RemoteState.AMBIGUOUS
        [first] = desk.servers.tokens()
        assert await desk.opens(remote, first) == "sort/item.created~0"
        await desk.clock.advance(15)
        second = desk.servers.tokens()[1]
        assert second != first
        assert await desk.opens(remote, first) is None
        assert await desk.opens(remote, second) == "sort/item.created"


async def test_the_old_token_opens_until_a_new_one_was_accepted(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    async with desk.running():
        pass
    [old] = desk.servers.tokens()
    desk.servers.answers = [TimeoutError(), refused()]

    async with desk.running() as remote:
        for _ in range(2):
            assert await desk.opens(remote, old) == "sort/item.created"
            assert await desk.opens(remote, desk.servers.tokens()[1]) == "sort/item.created~0"
            await desk.clock.advance(15)
        await desk.clock.advance(60)
        newest = desk.servers.tokens()[-1]
        assert await desk.opens(remote, newest) == "sort/item.created"
        assert [await desk.opens(remote, each) for each in desk.servers.tokens()[:-1]] == [None] * 3
        assert len(desk.rows.kept) == 1


async def test_a_server_that_stays_silent_is_left_with_the_newest_tokens_only(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.servers.answers = [TimeoutError() for _ in range(8)]

    async with desk.running() as remote:
        await desk.clock.advance(LONGEST_PAUSE_SECONDS * 2)
        given = desk.servers.tokens()
        assert len(given) > MOST_SPARES
        opening = [await desk.opens(remote, each) is not None for each in given]
        assert opening == [False] * (len(given) - MOST_SPARES) + [True] * MOST_SPARES


async def test_a_start_of_the_daemon_registers_anew_and_ends_the_old_token(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    async with desk.running():
        pass

    async with desk.running() as remote:
        old, new = desk.servers.tokens()
        assert await desk.opens(remote, old) is None
        assert await desk.opens(remote, new) == "sort/item.created"


async def test_a_child_that_was_started_anew_is_told_anew(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.servers.lives["notes"] = "1"

    async with desk.running():
        desk.servers.lives["notes"] = None
        await desk.clock.advance(15)
        desk.servers.lives["notes"] = "2"
        await desk.clock.advance(15)
        assert len(desk.servers.told) == 3


async def test_a_server_elsewhere_is_told_anew_every_hour(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))

    async with desk.running() as remote:
        await desk.clock.advance(RENEW_SECONDS + 20)
        old, new = desk.servers.tokens()
        assert await desk.opens(remote, old) is None
        assert await desk.opens(remote, new) == "sort/item.created"


async def test_one_whose_new_start_nobody_would_see_is_told_anew_sooner(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.servers.unseen = {"notes"}

    async with desk.running():
        await desk.clock.advance(BLIND_SECONDS + 20)
        assert len(desk.servers.tokens()) == 2


async def test_a_server_that_is_away_is_shown_so_and_told_anew_once_it_is_back(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.servers.lives["notes"] = "1"

    async with desk.running() as remote:
        desk.servers.away["notes"] = "connection refused"
        await desk.clock.advance(LOOK_SECONDS)
        [standing] = remote.standings()
        assert (standing.state, standing.error) == (RemoteState.FAILED, "connection refused")
        assert standing.retry_at is not None
        # It may be away for us alone, and still report.
        assert await desk.opens(remote, desk.servers.tokens()[0]) == "sort/item.created"
        await desk.clock.advance(LONGEST_PAUSE_SECONDS)
        assert len(desk.servers.told) == 1
        desk.servers.away.clear()
        desk.servers.lives["notes"] = "2"
        await desk.clock.advance(LOOK_SECONDS)
        [standing] = remote.standings()
        assert (standing.state, standing.error) == (RemoteState.ACTIVE, None)
        assert await desk.opens(remote, desk.servers.tokens()[1]) == "sort/item.created"


async def test_a_server_that_is_away_is_not_told_to_end(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))

    async with desk.running() as remote:
        desk.servers.away["notes"] = "connection refused"
        desk.put()
        await desk.clock.settle()
        assert len(desk.servers.told) == 1
        assert await desk.opens(remote, desk.servers.tokens()[0]) is None


async def test_a_ledger_that_fails_after_the_servers_yes_loses_no_callback(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.rows.away = True

    async with desk.running() as remote:
        [token] = desk.servers.tokens()
        assert await desk.opens(remote, token) == "sort/item.created"
        desk.rows.away = False
        await desk.clock.advance(15)
        [row] = desk.rows.kept.values()
        assert row.digest == digest_of(token)
        assert desk.servers.tokens() == [token]


async def test_a_server_may_call_back_before_it_answers(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.servers.closed["notes"] = asyncio.Event()

    async with desk.running() as remote:
        [token] = desk.servers.tokens()
        assert desk.rows.kept == {}
        found = await remote.tokens.find(token)
        assert found is not None
        desk.servers.closed["notes"].set()
        await desk.clock.settle()
        assert len(desk.rows.kept) == 1


async def test_a_server_that_hangs_holds_up_no_other(desk: RemoteDesk) -> None:
    desk.servers.closed["notes"] = asyncio.Event()
    desk.put(
        waiting("a", "notes.item.created"),
        waiting("b", "tasks.made"),
        connections=(server(), server("tasks")),
    )

    async with desk.running():
        assert [place for place, _ in desk.rows.kept] == ["b"]


async def test_whatever_a_server_provokes_is_its_triggers_failure(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.servers.answers = [ValueError("of a library")]

    async with desk.running() as remote:
        [standing] = remote.standings()
        assert standing.state is RemoteState.AMBIGUOUS
        assert "of a library" not in (standing.error or "")


async def test_of_several_nodes_the_oldest_registers_alone_and_the_next_takes_over(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.rows.node_id, desk.rows.nodes = "node_b", ["node_a", "node_b"]

    async with desk.running() as remote:
        assert desk.servers.told == []
        desk.rows.nodes = ["node_b"]
        await desk.clock.advance(15)
        [token] = desk.servers.tokens()
        assert await desk.opens(remote, token) == "sort/item.created"


async def test_a_node_whose_lease_is_gone_tells_nobody(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.lease.good = False

    async with desk.running():
        await desk.clock.advance(60)
        assert desk.servers.told == []


async def test_a_token_that_another_node_replaced_is_registered_anew(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))

    async with desk.running() as remote:
        place, row = next(iter(desk.rows.kept.items()))
        desk.rows.kept[place] = replace(row, digest=digest_of("theirs"))
        assert await desk.opens(remote, "theirs") == "sort/item.created"
        await desk.clock.advance(15)
        assert await desk.opens(remote, "theirs") is None
        assert await desk.opens(remote, desk.servers.tokens()[1]) == "sort/item.created"
