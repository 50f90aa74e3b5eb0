"""What the runtime says of itself starts automations, and no chain of them goes on for ever."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, eventually, write

from amodal_rt.testing.model_server import Asked, Call, ModelServer, Turn
from amodal_rt.testing.receiver import Receiver


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    write(folder, "connections/runtime/spec.json", {"protocol": "runtime"})
    write(folder, "amodal.json", {"egress": {"allowPrivate": ["127.0.0.0/8"]}})
    return folder


def runs(child: Child, name: str | None = None) -> list[dict[str, Any]]:
    wanted = {"limit": "500"} | ({"automation": name} if name else {})
    return child.client.get("/v1/runs", wanted)


def quiet(child: Child, least: int) -> list[dict[str, Any]]:
    """All runs, oldest first, once there are so many and nothing has happened for a while."""
    seen: list[int] = []

    def look() -> list[dict[str, Any]] | None:
        found = runs(child)
        going = any(each["status"] in ("pending", "running") for each in found)
        seen.append(len(found))
        still = len(seen) > 100 and len(set(seen[-100:])) == 1
        return found if still and not going and len(found) >= least else None

    return list(reversed(eventually(look, seconds=120)))


def said(child: Child, type: str) -> list[dict[str, Any]]:
    """Events of a type, oldest first, whole."""
    rows = child.client.get("/v1/events", {"type": type, "limit": "500"})
    return [child.client.get(f"/v1/events/{row['event_id']}") for row in reversed(rows)]


def test_an_automation_that_waits_for_everything_is_not_started_by_its_own_runs(
    root: Path,
) -> None:
    automation(root, "echo", trigger="*", connections=[])
    with daemon(root) as child:
        run = child.client.post("/v1/automations/echo/trigger")
        child.finished(run["run_id"])
        event, session = eventually(
            lambda: (
                (
                    found := [
                        *said(child, "automation.run.completed"),
                        *said(child, "agent_session.*"),
                    ]
                )
                and len(found) == 3
                and found[:2]
            )
        )
        child.client.post("/v1/events", {"type": "deploy.finished"})
        later = quiet(child, 2)
        (row,) = child.client.get("/v1/automations/echo/why", {"at": event["event_id"]})

    assert [(each["status"], each["depth"]) for each in later] == [("completed", 0)] * 2
    assert (row["status"], row["reason"]) == ("not_matched", "own_event")
    assert "own_event" in row["rule"]
    assert session["type"] == "agent_session.started"


def test_two_automations_that_wait_for_each_others_ends_stop_at_depth_three(root: Path) -> None:
    for name in ("ping", "pong"):
        automation(root, name, trigger="automation.run.*", connections=[])
    with daemon(root) as child:
        child.client.post("/v1/automations/ping/trigger")
        found = quiet(child, 5)
        events = said(child, "*")

    assert [each["automation"] for each in found] == ["ping", "pong", "ping", "pong", "ping"]
    assert [each["status"] for each in found] == ["completed"] * 4 + ["skipped"]
    assert [each["depth"] for each in found] == [0, 1, 2, 3, 4]
    assert found[-1]["reason"] == "depth_limit"
    assert [each["depth"] for each in events] == [1, 2, 3, 4]
    assert {each["source"] for each in events} == {"/automations/ping", "/automations/pong"}
    assert [each["actor"] for each in events] == [f"run:{each['run_id']}" for each in found[:4]]


def test_two_automations_that_emit_for_each_other_stop_at_depth_three(root: Path) -> None:
    def answer(asked: Asked) -> Turn:
        if asked.results:
            return Turn(text="said")
        own = "ping" if "You are ping." in asked.text else "pong"
        return Turn(calls=[Call("emit_event", {"type": f"game.{own}"})])

    async def story() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        async with ModelServer() as server:
            server.answer(answer)
            provider = {"type": "openai-compatible", "baseUrl": server.openai_url}
            settings = {"model": "local:small", "providers": {"local": provider}}
            egress = {"egress": {"allowPrivate": ["127.0.0.0/8"]}}
            write(root, "amodal.json", {**settings, **egress})
            for own, other in (("ping", "pong"), ("pong", "ping")):
                automation(
                    root,
                    own,
                    trigger=f"game.{other}",
                    connections=[],
                    prompt=f"You are {own}. Say game.{own}.",
                )
            with daemon(root) as child:
                return await asyncio.to_thread(play, child)

    def play(child: Child) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        child.client.post("/v1/automations/ping/trigger")
        return quiet(child, 5), said(child, "game.*")

    found, events = asyncio.run(story())

    assert [each["automation"] for each in found] == ["ping", "pong", "ping", "pong", "ping"]
    assert [each["depth"] for each in found] == [0, 1, 2, 3, 4]
    assert [each["reason"] for each in found] == [None] * 4 + ["depth_limit"]
    assert [each["depth"] for each in events] == [1, 2, 3, 4]


def test_a_failure_starts_who_responds_to_it(root: Path) -> None:
    async def story() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        async with ModelServer() as server:
            server.script(*[Turn(status=400, error="no such thing")] * 10)
            provider = {"type": "openai-compatible", "baseUrl": server.openai_url}
            egress = {"egress": {"allowPrivate": ["127.0.0.0/8"]}}
            write(root, "amodal.json", {"providers": {"local": provider}, **egress})
            automation(root, "nightly", model="local:small", connections=[])
            automation(
                root,
                "responder",
                trigger="automation.run.failed",
                filter={"automation": "nightly"},
                connections=[],
            )
            with daemon(root) as child:
                return await asyncio.to_thread(play, child)

    def play(child: Child) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        failed = child.client.post("/v1/automations/nightly/trigger")
        (run,) = eventually(lambda: runs(child, "responder"))
        child.finished(run["run_id"])
        return failed, [*said(child, "automation.run.failed"), *runs(child, "responder")]

    failed, (event, run) = asyncio.run(story())

    assert event["data"]["run_id"] == failed["run_id"]
    assert event["data"]["status"] == "failed"
    assert event["data"]["error"]
    assert (run["depth"], run["trigger"]) == (1, "event")


def test_what_nobody_waits_for_is_not_said(root: Path) -> None:
    automation(root, "digest", connections=[])
    with daemon(root) as child:
        run = child.client.post("/v1/automations/digest/trigger")
        child.finished(run["run_id"])
        child.client.post("/v1/automations/digest/pause")

        assert said(child, "*") == []


def test_a_paused_automation_a_secret_and_a_connection_are_told_of(root: Path) -> None:
    for name in ("paused", "resumed"):
        automation(root, f"on-{name}", trigger=f"automation.{name}", connections=[])
    automation(root, "on-skip", trigger="automation.run.skipped", connections=[])
    automation(root, "on-cancel", trigger="automation.run.cancelled", connections=[])
    automation(root, "on-secret", trigger="credential.updated", connections=[])
    automation(root, "on-connection", trigger="connector.*", connections=[])
    automation(root, "on-session", trigger="agent_session.*", connections=[], status="paused")
    automation(root, "work", trigger="deploy.finished", connections=[])
    write(root, ".env", "CRM_TOKEN=first-canary-1234\nOTHER=same\n").chmod(0o600)
    with daemon(root) as child:
        child.client.post("/v1/automations/work/pause", {"reason": "the API is down"})
        receipt = child.client.post("/v1/events", {"type": "deploy.finished"})
        child.client.post("/v1/automations/work/resume")
        write(root, ".env", "CRM_TOKEN=second-canary-5678\nOTHER=same\n")
        child.client.post("/v1/connections/runtime/test")
        child.client.post("/v1/connections/runtime/test")
        for name in ("on-paused", "on-resumed", "on-skip", "on-secret", "on-connection"):
            eventually(lambda name=name: runs(child, name))
        (paused,), (resumed,) = said(child, "automation.paused"), said(child, "automation.resumed")
        # The run of `on-skip` may be of another skip than this one.
        (skipped,) = eventually(
            lambda: [
                each
                for each in said(child, "automation.run.skipped")
                if each["data"]["automation"] == "work"
            ]
        )
        (secret,) = said(child, "credential.*")
        (connected,) = said(child, "connector.*")
        eventually(lambda: said(child, "agent_session.started"))
        everything = str(said(child, "*"))

    assert paused["data"] == {"automation": "work", "reason": "the API is down", "by": "ada"}
    assert resumed["subject"] == "work"
    assert skipped["data"]["run_id"] == receipt["runs"][0]["run_id"]
    assert skipped["data"]["reason"] == "paused"
    assert secret["data"] == {"name": "CRM_TOKEN", "change": "updated"}
    assert connected["type"] == "connector.connected"
    assert connected["subject"] == "runtime"
    assert "canary" not in everything


async def test_a_message_that_is_given_up_is_told_of(root: Path) -> None:
    async with ModelServer() as server, Receiver() as receiver:
        receiver.script(410)
        provider = {"type": "openai-compatible", "baseUrl": server.openai_url}
        egress = {"egress": {"allowPrivate": ["127.0.0.0/8"]}}
        write(root, "amodal.json", {"providers": {"local": provider}, **egress})
        target = {"type": "webhook", "url": receiver.url("/gone"), "label": "#gone"}
        automation(
            root, "digest", model="local:small", connections=[], delivery={"targets": [target]}
        )
        automation(root, "on-dead", trigger="delivery.dead", connections=[])

        def play(child: Child) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
            run = child.client.post("/v1/automations/digest/trigger")
            (started,) = eventually(lambda: runs(child, "on-dead"))
            (event,) = said(child, "delivery.dead")
            return run, started, event

        with daemon(root) as child:
            run, started, event = await asyncio.to_thread(play, child)

    assert event["data"]["run_id"] == run["run_id"]
    assert (event["data"]["target"], event["data"]["status"]) == ("#gone", "dead")
    assert (event["depth"], started["depth"]) == (1, 1)


def test_an_end_that_was_committed_is_told_of_after_a_crash(root: Path) -> None:
    automation(root, "work", connections=[])
    automation(
        root,
        "after",
        trigger="automation.run.completed",
        connections=[],
        params={"automation": "work"},
    )
    with daemon(root, AMODAL_RT_FAILPOINTS="bus.before_match=kill") as first:
        run = first.client.post("/v1/automations/work/trigger")
        eventually(lambda: not first.process.alive)
    with daemon(root) as second:
        (after,) = eventually(lambda: runs(second, "after"))
        (event,) = said(second, "automation.run.completed")[:1]

    assert event["data"]["run_id"] == run["run_id"]
    assert after["trigger"] == "event"
