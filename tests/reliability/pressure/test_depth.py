"""Automations that start each other end by themselves, over every road that they can take."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, eventually, write
from figures import Figures
from load import free_port
from stub_model import Chat, Model, Say, Turn, Use, use

from amodal_rt import ids
from amodal_rt.domain.cause import Cause
from amodal_rt.guardrails.causes import HEADER, Causes

KEY = "a-key-of-this-test"
SERVER = str(Path(__file__).parent / "mcp_child.py")
PRIVATE = {"egress": {"allowPrivate": ["127.0.0.0/8"]}}


def _hook(port: int, name: str) -> str:
    return f"http://127.0.0.1:{port}/webhooks/{ids.webhook(KEY.encode(), name, 0)}"


def _runs(child: Child) -> list[dict[str, Any]]:
    return child.client.get("/v1/runs", {"limit": "100"})


def _all_ended(child: Child, count: int) -> list[dict[str, Any]]:
    """The runs, oldest first, once the chain has come to its end."""

    def look() -> list[dict[str, Any]] | None:
        rows = _runs(child)
        ended = all(row["status"] not in {"pending", "running"} for row in rows)
        return rows if ended and any(row["status"] == "skipped" for row in rows) else None

    rows = eventually(look)
    assert len(rows) == count, rows
    return list(reversed(rows))


def _is_chain(child: Child, rows: list[dict[str, Any]]) -> None:
    assert [row["depth"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["status"] for row in rows] == ["completed"] * 4 + ["skipped"]
    assert rows[-1]["reason"] == "depth_limit"
    (why,) = child.client.get(f"/v1/automations/{rows[-1]['automation']}/why", {"limit": "1"})
    assert "at most 3 deep" in why["rule"]
    assert rows[3]["run_id"] in why["rule"] or "MCP server" in why["rule"]


def test_two_that_post_to_each_others_webhook_end_after_three_laps(
    scene: Path, model: Model, figures: Figures
) -> None:
    port = free_port()
    root = scene / "w"
    write(root, "amodal.json", model.settings())
    spec = {"protocol": "rest", "baseUrl": f"http://localhost:{port}"}
    write(root, "connections/self/spec.json", spec)
    paths = {name: "/webhooks/" + ids.webhook(KEY.encode(), name, 0) for name in ("ping", "pong")}
    for name, other in (("ping", "pong"), ("pong", "ping")):
        prompt = f"I am {name}. POST {paths[other]}"
        automation(root, name, prompt=prompt, trigger="webhook", writeEnabled=True)

    def brain(chat: Chat) -> Turn:
        if chat.turn:
            return Say("sent")
        other = "pong" if "I am ping" in chat.everything else "ping"
        aim = paths[other]
        return use("request", connection="self", method="POST", endpoint=aim, intent="write")

    model.brain = brain
    listen = f"127.0.0.1:{port}"
    child = Child(root, listen=listen, MODEL_KEY="key", AMODAL_RT_WEBHOOK_KEY=KEY)
    try:
        child.ready().post(_hook(port, "ping"))
        _is_chain(child, _all_ended(child, 5))
    finally:
        child.kill()
    figures.add("chains_ended")


def test_two_whose_results_are_delivered_to_each_other_end_after_three_laps(
    scene: Path, figures: Figures
) -> None:
    port = free_port()
    root = scene / "w"
    write(root, "amodal.json", PRIVATE)
    for name, other in (("ping", "pong"), ("pong", "ping")):
        target = {"type": "webhook", "url": _hook(port, other)}
        automation(root, name, trigger="webhook", delivery={"targets": [target]})
    child = Child(root, listen=f"127.0.0.1:{port}", AMODAL_RT_WEBHOOK_KEY=KEY)
    try:
        child.ready().post(_hook(port, "ping"))
        _is_chain(child, _all_ended(child, 5))
    finally:
        child.kill()
    figures.add("chains_ended")


def test_a_child_process_that_triggers_its_own_automation_ends_after_three_laps(
    scene: Path, model: Model, figures: Figures
) -> None:
    root = scene / "w"
    write(root, "amodal.json", model.settings())
    words = [SERVER, "triggers", "ops", "automations", "trigger", "loop", "--json"]
    spec = {"protocol": "mcp", "command": sys.executable, "args": words,
            "env": {"AMODAL_RT_WORKSPACE": str(root)}}  # fmt: skip
    write(root, "connections/kids/spec.json", spec)
    write(root, "connections/kids/access.json", {"tools": {"work": {"intent": "read"}}})
    automation(root, "loop", limits={"concurrency": 10})
    model.brain = lambda chat: Say("done") if chat.turn else Use((("kids__work", {}),))
    with daemon(root, MODEL_KEY="key", AMODAL_RT_WEBHOOK_KEY=KEY) as child:
        child.client.post("/v1/automations/loop/trigger", {})
        _is_chain(child, _all_ended(child, 5))
    figures.add("chains_ended")


def test_what_a_run_calls_over_mcp_is_told_its_cause(scene: Path, model: Model) -> None:
    root = scene / "w"
    write(root, "amodal.json", model.settings())
    spec = {"protocol": "mcp", "command": sys.executable, "args": [SERVER, "meta"]}
    write(root, "connections/kids/spec.json", spec)
    write(root, "connections/kids/access.json", {"tools": {"work": {"intent": "read"}}})
    automation(root, "one")
    model.brain = lambda chat: Say(chat.results[0]) if chat.turn else Use((("kids__work", {}),))
    with daemon(root, MODEL_KEY="key", AMODAL_RT_WEBHOOK_KEY=KEY) as child:
        started = child.client.post("/v1/automations/one/trigger", {})
        said = json.loads(child.finished(started["run_id"])["result"]["text"])
    causes = Causes(KEY.encode(), lambda url: False)
    told = causes.read([said["meta"]["amodal-rt/cause"]])
    assert told == Cause(depth=0, run_id=started["run_id"])
    assert causes.read([said["variable"]]) == Cause(depth=0)


@pytest.mark.parametrize("forged", ["9.-.aaaaaaaaaaaaaaaaaaaaaaaaaa", "9", "x" * 5000, "-1.-.z"])
def test_a_made_up_cause_counts_for_nothing_and_is_not_kept(scene: Path, forged: str) -> None:
    root = scene / "w"
    automation(root, "hook", trigger="webhook")
    with daemon(root, AMODAL_RT_WEBHOOK_KEY=KEY) as child:
        url = child.url + "/webhooks/" + ids.webhook(KEY.encode(), "hook", 0)
        status, answer = child.post(url, b"{}", **{HEADER: forged})
        assert (status, answer["status"]) == (202, "accepted")
        event = child.client.get(f"/v1/events/{answer['event_id']}")
    assert event["depth"] == 0
    assert HEADER.lower() not in event["headers"]
