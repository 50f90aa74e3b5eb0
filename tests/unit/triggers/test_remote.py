"""Servers are kept in step with the files, and every trigger has a token of its own."""

import asyncio
from dataclasses import replace

import pytest
from remote_desk import URL, RemoteDesk, child, refused, server, waiting

from amodal_rt.domain.connection import Connection, McpServer
from amodal_rt.domain.integration import Integration
from amodal_rt.domain.remote_trigger import RemoteState
from amodal_rt.domain.trigger import SignatureScheme, WebhookAuth
from amodal_rt.triggers.callback_tokens import digest_of
from amodal_rt.triggers.remote import AT_ONCE, RENEW_SECONDS
from amodal_rt.triggers.remote_standing import LONGEST_PAUSE_SECONDS


@pytest.fixture
async def desk() -> RemoteDesk:
    return RemoteDesk()


async def test_a_trigger_in_a_file_is_registered_with_a_token_of_which_a_digest_is_kept(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created", params={"list": "inbox", "n": 3, "old": False}))

    async with desk.running() as remote:
        [told] = desk.servers.told
        assert (told.type, told.params) == (
            "item.created", {"list": "inbox", "n": "3", "old": "false"},
        )  # fmt: skip
        assert told.callback
        url, token = told.callback
        assert url == URL
        assert len(token) * 5 >= 256
        [row] = desk.rows.kept.values()
        assert (row.digest, row.state) == (digest_of(token), RemoteState.ACTIVE)
        assert token not in repr(desk.rows.kept)
        assert await desk.opens(remote, token) == "sort/item.created"
        assert await desk.opens(remote, token + "x") is None
        assert await desk.opens(remote, row.digest) is None


async def test_what_no_server_knows_and_what_is_no_type_of_one_is_not_registered(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("other", "github.issues.opened", "notes", "notes.", "notesx.item.created"))

    async with desk.running():
        assert desk.servers.told == []


@pytest.mark.parametrize(
    ("scheme", "integration", "connection", "asked"),
    [
        (SignatureScheme.GITHUB, "acme", "github", False),
        (SignatureScheme.GITHUB, "acme", "acme", True),
        (SignatureScheme.HMAC_SHA256, "acme", "acme", False),
        (SignatureScheme.CUSTOM, "acme", "custom", True),
    ],
)
async def test_what_an_integration_brings_is_not_asked_of_a_server_of_the_same_name(
    desk: RemoteDesk, scheme: SignatureScheme, integration: str, connection: str, asked: bool
) -> None:
    desk.put(waiting("triage", f"{connection}.issues"), connections=(server(connection),))
    auth = WebhookAuth(scheme=scheme, secrets=("s",))
    provided = {integration: Integration(name=integration, auth=auth)}
    desk.current = replace(desk.current, integrations=provided)

    async with desk.running():
        assert [each.type for each in desk.servers.told] == ["issues"] * asked


async def test_a_glob_cannot_be_registered_and_is_shown_so(desk: RemoteDesk) -> None:
    desk.put(waiting("all", "notes.*"))

    async with desk.running() as remote:
        [standing] = remote.standings("all")
        assert standing.state is RemoteState.FAILED
        assert "glob" in (standing.error or "")
        await desk.clock.advance(LONGEST_PAUSE_SECONDS * 2)
        assert desk.servers.told == []


async def test_nothing_is_told_twice_while_all_is_well(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))

    async with desk.running():
        await desk.clock.advance(RENEW_SECONDS - 60)
        desk.put(*(each.definition for each in desk.current.automations.values()))  # pyright: ignore[reportArgumentType]
        await desk.clock.settle()
        assert len(desk.servers.told) == 1


async def test_each_of_several_triggers_has_its_own_token_and_name(desk: RemoteDesk) -> None:
    desk.put(
        waiting("a", "notes.item.created", "notes.item.done"), waiting("b", "notes.item.created")
    )

    async with desk.running() as remote:
        assert len(set(desk.servers.tokens())) == 3
        assert {each.watcher for each in desk.servers.told} == {
            "notes/a/item.created", "notes/a/item.done", "notes/b/item.created",
        }  # fmt: skip
        places = [await desk.opens(remote, each) for each in desk.servers.tokens()]
        assert sorted(map(str, places)) == ["a/item.created", "a/item.done", "b/item.created"]


async def test_what_an_automation_asks_for_twice_is_asked_of_its_server_once(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created", "notes.item.created"))

    async with desk.running() as remote:
        assert desk.servers.calls() == [("notes/sort/item.created", True)]
        [standing] = remote.standings("sort")
        assert standing.state is RemoteState.ACTIVE


async def test_over_stdio_all_that_want_the_same_share_one_callback(desk: RemoteDesk) -> None:
    """A server there cannot tell who asks: of two callbacks it would keep the last."""
    a, b = waiting("a", "notes.item.created"), waiting("b", "notes.item.created")
    other = waiting("c", "notes.item.created", params={"list": "inbox"})
    desk.put(a, b, other, connections=(child(),))

    async with desk.running() as remote:
        begun = [("notes/item.created", True), ("notes/item.created", True)]
        assert desk.servers.calls() == begun
        assert [dict(each.params) for each in desk.servers.told] == [{}, {"list": "inbox"}]
        assert [len(remote.standings(each)) for each in "abc"] == [1, 1, 1]
        assert {each.state for each in remote.standings("a")} == {RemoteState.ACTIVE}
        shared = desk.servers.tokens()[0]
        # Who comes and goes while others stay is nothing to the server.
        desk.pause("a")
        desk.put(a, b, other, waiting("d", "notes.item.created"))
        await desk.clock.settle()
        assert desk.servers.calls() == begun
        assert [len(remote.standings(each)) for each in "abd"] == [0, 1, 1]
        assert await desk.opens(remote, shared) == "all/item.created"
        desk.put(other)
        await desk.clock.settle()
        # The last one's end is told; the sibling of the same type is told anew after it.
        assert [begins for _, begins in desk.servers.calls()[2:]] == [False, True]
        assert await desk.opens(remote, shared) is None
        assert await desk.opens(remote, desk.servers.tokens()[-1]) == "all/item.created"


async def test_a_file_that_changed_is_tried_at_once(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.servers.answers = [refused()]

    async with desk.running():
        desk.put(waiting("sort", "notes.item.done"))
        await desk.clock.settle()
        assert [each.type for each in desk.servers.told] == ["item.created", "item.done"]


async def test_pausing_ends_the_token_and_resuming_gives_the_server_a_fresh_one(
    desk: RemoteDesk,
) -> None:
    """Resuming must tell the server where to call: it forgot when it was told to end."""
    desk.put(waiting("sort", "notes.item.created"))

    async with desk.running() as remote:
        desk.pause("sort")
        await desk.clock.settle()
        assert desk.servers.calls() == [
            ("notes/sort/item.created", True),
            ("notes/sort/item.created", False),
        ]
        assert desk.rows.kept == {}
        [first] = desk.servers.tokens()
        assert await desk.opens(remote, first) is None
        desk.pause("sort", paused=False)
        await desk.clock.settle()
        second = desk.servers.tokens()[1]
        assert second != first
        assert await desk.opens(remote, second) == "sort/item.created"


async def test_a_server_that_does_not_hear_of_the_end_keeps_nothing_that_opens(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created"))

    async with desk.running() as remote:
        desk.servers.answers = [TimeoutError()]
        desk.put()
        await desk.clock.settle()
        assert desk.servers.calls()[-1] == ("notes/sort/item.created", False)
        assert await desk.opens(remote, desk.servers.tokens()[0]) is None
        await desk.clock.advance(LONGEST_PAUSE_SECONDS)
        assert len(desk.servers.told) == 2


async def test_siblings_survive_the_end_of_one_even_with_a_server_that_knows_types_only(
    desk: RemoteDesk,
) -> None:
    desk.put(
        waiting("a", "notes.item.created"), waiting("b", "notes.item.created", "notes.item.done")
    )

    async with desk.running() as remote:
        before = {each.watcher: each.callback for each in desk.servers.told}
        desk.put(waiting("b", "notes.item.created", "notes.item.done"))
        await desk.clock.settle()
        after = {each.watcher: each.callback for each in desk.servers.told}
        assert after["notes/a/item.created"] is None
        # The one of the same type is told anew, after the end; the other is left alone.
        assert after["notes/b/item.created"] != before["notes/b/item.created"]
        assert after["notes/b/item.done"] == before["notes/b/item.done"]
        for watcher in ("notes/b/item.created", "notes/b/item.done"):
            callback = after[watcher]
            assert callback
            assert await desk.opens(remote, callback[1]) == watcher.removeprefix("notes/")


@pytest.mark.parametrize(("made", "at_once"), [(server(), AT_ONCE), (child(), 1)])
async def test_a_server_elsewhere_is_told_of_several_at_a_time_and_a_child_of_one(
    desk: RemoteDesk, made: Connection, at_once: int
) -> None:
    """One after another, fifty that are told anew would be a minute of a slow server."""
    desk.put(
        *(waiting(f"a{n}", "notes.item.created", params={"n": n}) for n in range(AT_ONCE + 2)),
        connections=(made,),
    )
    desk.servers.closed["notes"] = asyncio.Event()

    async with desk.running() as remote:
        assert len(desk.servers.told) == at_once
        desk.servers.closed["notes"].set()
        await desk.clock.settle()
        assert [each.params["n"] for each in desk.servers.told] == [
            str(n) for n in range(AT_ONCE + 2)
        ]
        assert {each.state for each in remote.standings()} == {RemoteState.ACTIVE}


async def test_other_parameters_are_another_registration(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created", params={"list": "inbox"}))

    async with desk.running() as remote:
        desk.put(waiting("sort", "notes.item.created", params={"list": "later"}))
        await desk.clock.settle()
        said = [(each.params["list"], each.callback is not None) for each in desk.servers.told]
        assert said == [("inbox", True), ("inbox", False), ("later", True)]
        opened = [await desk.opens(remote, each) for each in desk.servers.tokens()]
        assert opened == [None, "sort/item.created"]


async def test_what_was_deleted_while_the_daemon_was_down_is_ended_at_its_start(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    async with desk.running():
        pass
    desk.put()

    async with desk.running():
        assert desk.servers.calls()[-1] == ("notes/sort/item.created", False)
        assert desk.rows.kept == {}


async def test_a_connection_that_was_deleted_is_told_to_end(desk: RemoteDesk) -> None:
    sort = waiting("sort", "notes.item.created")
    desk.put(sort)

    async with desk.running():
        desk.put(sort, connections=(server("other"),))
        await desk.clock.settle()
        assert desk.servers.calls()[-1] == ("notes/sort/item.created", False)
        assert desk.rows.kept == {}


async def test_a_server_that_moved_is_told_at_its_old_place_and_at_its_new_one(
    desk: RemoteDesk,
) -> None:
    sort = waiting("sort", "notes.item.created")
    desk.put(sort)

    async with desk.running():
        moved = server(hash="h2", mcp=McpServer(url="https://elsewhere.example/mcp"))
        desk.put(sort, connections=(moved,))
        await desk.clock.settle()
        assert [begins for _, begins in desk.servers.calls()] == [True, False, True]


async def test_another_public_url_is_told_to_every_server(desk: RemoteDesk) -> None:
    desk.put(waiting("sort", "notes.item.created"))

    async with desk.running():
        desk.url = "https://runs.example/api/trigger-callback"
        desk.put(waiting("sort", "notes.item.created"))
        await desk.clock.settle()
        urls = [each.callback and each.callback[0] for each in desk.servers.told]
        assert urls == [URL, "https://runs.example/api/trigger-callback"]


async def test_without_an_address_nothing_is_told_and_the_reason_is_shown(
    desk: RemoteDesk,
) -> None:
    desk.put(waiting("sort", "notes.item.created"))
    desk.url = None

    async with desk.running() as remote:
        assert desk.servers.told == []
        [standing] = remote.standings()
        assert standing.state is None
        assert "no address" in (standing.error or "")
