"""MCP servers that are real processes report real events over HTTP, and runs start."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from daemon_child import automation
from trigger_scene import Daemoned, Scene, until

from amodal_rt.domain.cause import Cause
from amodal_rt.domain.remote_trigger import RemoteState
from amodal_rt.domain.run import RunStatus
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.guardrails.causes import HEADER
from amodal_rt.ports import Caller

ACTIVE, FAILED, AMBIGUOUS = RemoteState.ACTIVE, RemoteState.FAILED, RemoteState.AMBIGUOUS
INBOX = {"list": "inbox"}
ADA = Caller(actor="member:ada", door="cli")


@pytest.fixture(params=["stdio", "http"])
async def scene(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    built = Scene(tmp_path, request.param)
    await built.start_server()
    yield built
    await built.close()


@pytest.fixture
async def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Where it makes no difference how the server is reached."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    built = Scene(tmp_path, "stdio")
    await built.start_server()
    return built


@pytest.fixture
async def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """A server over HTTP."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    built = Scene(tmp_path, "http")
    await built.start_server()
    yield built
    await built.close()


async def test_what_a_server_reports_becomes_a_run(scene: Scene) -> None:
    scene.waits("sort", params=INBOX)

    async with scene.watched() as (daemon, watcher):
        assert (watcher["type"], watcher["params"]) == ("item.created", INBOX)
        answers = await scene.ask(**{"raise": "item.created", "data": {**INBOX, "n": 1}})
        assert [(each["status"], each["body"]) for each in answers] == [
            (202, {"ok": True, "type": "item.created"})
        ]
        [run] = await daemon.runs("sort", ended=1)
        assert (run.trigger, run.status) == (TriggerKind.EVENT, RunStatus.COMPLETED)
        assert run.event_id
        record = await daemon.house.ground.ledger.find_event(run.event_id)
        assert record
        assert (record.event.type, record.event.source, record.event.data) == (
            "notes.item.created", "/connections/notes", {**INBOX, "n": 1},
        )  # fmt: skip


async def test_what_does_not_fit_is_on_record_as_filtered(child: Scene) -> None:
    child.waits("sort", params=INBOX)

    async with child.watched() as (daemon, watcher):
        status, _ = await daemon.call(
            watcher["token"], {"type": "item.created", "data": {"list": "later"}}
        )
        [run] = await daemon.runs("sort", ended=1)
        assert (status, run.status, run.reason) == (202, RunStatus.SKIPPED, "filtered")


async def test_pausing_ends_it_at_both_ends_and_resuming_begins_with_a_fresh_token(
    scene: Scene,
) -> None:
    scene.waits("sort")

    async with scene.watched() as (daemon, before):
        await daemon.house.automations.pause(ADA, "sort", reason=None)
        await until(lambda: _forgotten(scene))
        await daemon.stands()
        assert (await daemon.call(before["token"], {"type": "item.created"}))[0] == 401

        await daemon.house.automations.resume(ADA, "sort")
        await daemon.stands(ACTIVE)
        [after] = await scene.watchers()
        assert after["token"] != before["token"]
        [answer] = await scene.ask(**{"raise": "item.created"})
        assert answer["status"] == 202
        [run] = await daemon.runs("sort", ended=1)
        assert run.status is RunStatus.COMPLETED


async def test_an_event_that_comes_while_pausing_is_a_skipped_run_with_that_reason(
    child: Scene,
) -> None:
    child.waits("sort")

    async with child.watched() as (daemon, watcher):
        # Nobody is told yet: the server still has its token.
        now = child.clock.now()
        await daemon.house.ground.ledger.set_paused(
            "sort", paused=True, reason="tea", caller=ADA, at=now
        )
        await daemon.house.facts.reread()
        status, body = await daemon.call(watcher["token"], {"type": "item.created"})
        [run] = await daemon.runs("sort", ended=1)
        assert (status, body["ok"]) == (202, True)
        assert (run.status, run.reason, run.rule) == (RunStatus.SKIPPED, "paused", "paused: tea")


async def test_a_sibling_survives_the_end_of_another(scene: Scene) -> None:
    scene.waits("a", params={"list": "later"})
    scene.waits("b", params=INBOX)

    async with scene.daemon() as daemon:
        await daemon.stands(ACTIVE, ACTIVE)
        (scene.root / "automations/a.json").unlink()
        await daemon.stands(ACTIVE)

        async def alone() -> bool:
            return [each["params"] for each in await scene.watchers()] == [INBOX]

        await until(alone)
        await daemon.stands(ACTIVE)
        answers = await scene.ask(**{"raise": "item.created", "data": INBOX})
        assert [each["status"] for each in answers] == [202]
        [run] = await daemon.runs("b", ended=1)
        assert run.status is RunStatus.COMPLETED


async def test_two_that_want_the_same_are_both_called(scene: Scene) -> None:
    """Over stdio the server keeps one callback for both, over HTTP one for each."""
    scene.waits("a", params=INBOX)
    scene.waits("b", params=INBOX)
    scene.waits("c")

    async with scene.daemon() as daemon:
        await until(lambda: _are_active(daemon, "a", "b", "c"))
        answers = await scene.ask(**{"raise": "item.created", "data": INBOX, "id": "e-1"})
        assert {each["status"] for each in answers} == {202}
        for name in ("a", "b", "c"):
            [run] = await daemon.runs(name, ended=1)
            assert run.status is RunStatus.COMPLETED
        (scene.root / "automations/a.json").unlink()
        await until(lambda: _are_active(daemon, "b", "c"))
        await scene.ask(**{"raise": "item.created", "data": INBOX, "id": "e-2"})
        await scene.ask(**{"raise": "item.created", "data": {"list": "later"}, "id": "e-3"})
        assert len(await daemon.runs("b", ended=2)) == 2
        assert len(await daemon.runs("c", ended=3)) == 3
        assert len(await daemon.runs("a")) == 1


async def test_an_event_that_several_conditions_fit_starts_one_run(scene: Scene) -> None:
    same = {"type": "event", "event": "notes.item.created"}
    automation(scene.root, "sort", triggers=[{**same, "params": INBOX}, {**same, "params": INBOX}])

    async with scene.daemon() as daemon:
        await daemon.stands(ACTIVE)
        await scene.ask(**{"raise": "item.created", "data": INBOX})
        await scene.ask(**{"raise": "item.created", "data": INBOX, "id": "last"})
        assert len(await daemon.runs("sort", ended=2)) == 2


async def test_an_event_with_an_id_starts_one_run_of_whoever_asks_in_two_ways(
    scene: Scene,
) -> None:
    """The server reports it twice: to who wants the list, and to who wants any."""
    same = {"type": "event", "event": "notes.item.created"}
    automation(scene.root, "both", triggers=[same, {**same, "params": INBOX}])
    scene.waits("other", params=INBOX)

    async with scene.daemon() as daemon:
        await daemon.stands(ACTIVE, ACTIVE, *[ACTIVE] * (scene.transport == "http"))
        answers = await scene.ask(**{"raise": "item.created", "data": INBOX, "id": "e-1"})
        answers += await scene.ask(**{"raise": "item.created", "data": INBOX, "id": "e-1"})
        assert {each["status"] for each in answers} == {202}
        [run] = await daemon.runs("other", ended=1)
        assert run.status is RunStatus.COMPLETED
        found = await daemon.runs("both", ended=1)
        started = [each for each in found if each.status is not RunStatus.SKIPPED]
        assert len(started) == 1
        # Over stdio the other report came to both automations, and is on record for each.
        told = [(each.reason, each.rule) for each in found if each not in started]
        first = started[0].event_id
        over_stdio = [("duplicate", f"id: the first is {first}")]
        assert told == (over_stdio if scene.transport == "stdio" else [])


async def _are_active(daemon: Daemoned, *names: str) -> bool:
    """Whether these wait, each as its only trigger says, and nobody else."""
    remote = daemon.house.remote
    states = [[each.state for each in remote.standings(name)] for name in names]
    everybody = {name for each in remote.standings() for name in each.registration.automations}
    return states == [[ACTIVE]] * len(names) and everybody == set(names)


async def test_a_start_of_the_daemon_registers_anew_and_ends_the_old_token(scene: Scene) -> None:
    scene.waits("sort")
    async with scene.daemon() as daemon:
        await daemon.stands(ACTIVE)
        [before] = await scene.watchers()

    async with scene.daemon() as daemon:

        async def over() -> bool:
            # The old token is good until the server has accepted the new one.
            status, _ = await daemon.call(before["token"], {"type": "item.created"})
            return status == 401

        await until(over)
        [after] = await scene.watchers()
        assert after["token"] != before["token"]
        [answer] = await scene.ask(**{"raise": "item.created"})
        assert answer["status"] == 202


async def test_a_server_that_was_started_anew_is_told_again(scene: Scene) -> None:
    scene.waits("sort")

    async with scene.daemon() as daemon:
        await daemon.stands(ACTIVE)
        await scene.kill_server()
        if scene.transport == "http":
            # At once, as a supervisor would: no look finds it away.
            await scene.start_server()
            assert await scene.watchers() == []

        async def watched() -> bool:
            daemon.look()
            return bool(await scene.watchers())

        await until(watched)
        await daemon.stands(ACTIVE)
        [answer] = await scene.ask(**{"raise": "item.created"})
        assert answer["status"] == 202


async def test_a_server_elsewhere_that_is_away_is_shown_so_and_told_again_when_it_is_back(
    elsewhere: Scene,
) -> None:
    scene = elsewhere
    scene.waits("sort")

    async with scene.daemon() as daemon:
        await daemon.stands(ACTIVE)
        await scene.kill_server()
        daemon.look()
        await daemon.stands(FAILED)
        [row] = await daemon.house.automations.list_all(ADA)
        assert str(row["reason"]).startswith("notes.item.created is not watched for: ")
        found = await daemon.house.connections.test(ADA, "notes")
        assert found["ok"] is False
        await scene.start_server()
        daemon.look()
        await daemon.stands(ACTIVE)
        [answer] = await scene.ask(**{"raise": "item.created"})
        assert answer["status"] == 202


async def test_what_is_not_on_the_servers_list_is_told_with_its_line_and_not_asked_for(
    child: Scene,
) -> None:
    """Many servers say yes to anything, and then it never happens."""
    child.waits("sort", event="notes.item.creatd")
    child.waits("list", params={"list": "outbox"})
    child.waits("more", params={**INBOX, "colour": "red"})

    async with child.daemon() as daemon:
        await daemon.stands(FAILED, ACTIVE, FAILED)
        show = daemon.house.automations.show
        shown: list[Any] = [await show(ADA, name) for name in ("sort", "list", "more")]
        [call] = await child.ask(calls=True)
        assert call["params"] == {"list": "inbox", "colour": "red"}

    [sort], [other], [remark] = (each["problems"] for each in shown)
    assert sort["code"] == other["code"] == "trigger_not_registered"
    assert "has no trigger item.creatd: it lists item.created, item.done" in sort["message"]
    assert "list is one of inbox, later, and not outbox" in other["message"]
    text = (child.root / "automations/sort.json").read_text().splitlines()
    assert "notes.item.creatd" in text[sort["line"] - 1]
    assert (remark["code"], remark["severity"]) == ("trigger_params", "warning")
    assert "knows no params colour of item.created (it knows list)" in remark["message"]
    assert shown[2]["reason"] is None


async def test_a_server_that_hangs_is_ambiguous_and_what_it_reports_is_taken(
    scene: Scene,
) -> None:
    async with scene.daemon() as daemon:
        scene.waits("first", event="notes.item.done")
        await daemon.stands(ACTIVE)
        await scene.ask(behave="hang")
        scene.clock.answer_seconds = 0.5
        scene.waits("sort")
        await daemon.stands(ACTIVE, AMBIGUOUS)
        [answer] = await scene.ask(**{"raise": "item.created"})
        assert answer["status"] == 202
        [run] = await daemon.runs("sort", ended=1)
        assert run.status is RunStatus.COMPLETED


async def test_a_server_may_call_back_before_it_has_answered(child: Scene) -> None:
    async with child.daemon() as daemon:
        child.waits("first", event="notes.item.done")
        await daemon.stands(ACTIVE)
        await child.ask(behave="early")
        child.waits("sort")
        await daemon.stands(ACTIVE, ACTIVE)
        [run] = await daemon.runs("sort", ended=1)
        assert run.status is RunStatus.COMPLETED


async def test_an_event_that_is_reported_twice_starts_one_run(child: Scene) -> None:
    child.waits("sort")

    async with child.daemon() as daemon:
        await daemon.stands(ACTIVE)
        for _ in range(2):
            [answer] = await child.ask(**{"raise": "item.created", "id": "e-1"})
            assert (answer["status"], answer["body"]["ok"]) == (202, True)
        [answer] = await child.ask(**{"raise": "item.created", "id": "e-2"})
        assert len(await daemon.runs("sort", ended=2)) == 2


async def test_a_token_is_good_for_its_own_trigger_alone(child: Scene) -> None:
    child.waits("sort")

    async with child.watched() as (daemon, watcher):
        stored = await daemon.house.ground.ledger.remote_triggers()
        for wrong in ("", "x" * len(watcher["token"]), stored[0].digest):
            status, body = await daemon.call(wrong, {"type": "item.created"})
            assert (status, body["error"]["code"]) == (401, "unauthorized")
        assert (await daemon.call(watcher["token"], {"type": "item.done"}))[0] == 400
        assert await daemon.runs("sort") == []


async def test_a_chain_that_goes_through_a_server_ends_where_every_chain_ends(
    child: Scene,
) -> None:
    """The server says which run made it call, as it was told in the call."""
    child.waits("sort")

    async with child.watched() as (daemon, watcher):
        for depth in (2, 3):
            mark = daemon.house.causes.token(Cause(depth=depth, run_id="run_0123456789abcdef"))
            status, _ = await daemon.call(
                watcher["token"], {"type": "item.created"}, headers={HEADER: mark}
            )
            assert status == 202
        first, second = await daemon.runs("sort", ended=2)
        assert (first.depth, first.status) == (3, RunStatus.COMPLETED)
        assert (second.depth, second.status, second.reason) == (
            4, RunStatus.SKIPPED, "depth_limit",
        )  # fmt: skip


async def _forgotten(scene: Scene) -> bool:
    return await scene.watchers() == []
