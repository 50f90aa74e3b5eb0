"""A whole daemon says what no automation can report, once, over a kill -9 too."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from daemon_child import Child, automation, daemon, eventually, write

from amodal_rt.testing.model_server import ModelServer, Turn
from amodal_rt.testing.receiver import Receiver


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer() as made:
        yield made


def workspace(tmp_path: Path, receiver: Receiver, model: ModelServer, *told: str) -> Path:
    """With a real model, a heartbeat, and the workspace's alerts going to these paths."""
    root = tmp_path / "workspace"
    targets = [{"type": "webhook", "url": receiver.url(path), "label": path} for path in told]
    settings: dict[str, Any] = {
        "name": "acme",
        "model": "local:small",
        "providers": {
            "local": {
                "type": "openai-compatible",
                "baseUrl": model.openai_url,
                "apiKey": "env:KEY",
            }
        },
        "alerts": {"targets": targets, "heartbeatUrl": "env:BEAT"},
        "egress": {"allowPrivate": ["127.0.0.0/8"]},
    }
    write(root, "amodal.json", settings)
    write(root, ".env", f"KEY=not-a-real-key\nBEAT={receiver.url('/beat/T0SECRET')}\n")
    (root / ".env").chmod(0o600)
    return root


async def meanwhile(look: Callable[[], Any]) -> Any:
    """`eventually`, while this process answers as receiver and as model."""
    return await asyncio.to_thread(eventually, look)


def told(receiver: Receiver, path: str) -> list[tuple[str, str]]:
    """Status and condition of all that arrived there, each message once."""
    found = {each.message_id: each.json for each in receiver.requests if each.path == path}
    return [(each["status"], each["condition"]) for each in found.values()]


def beats(receiver: Receiver) -> int:
    return sum(each.path.startswith("/beat") for each in receiver.requests)


def ops(child: Child, *words: str) -> tuple[int, Any]:
    """`ops … --json`: exit code and document."""
    main = "import sys; from amodal_rt.cli.entry import ops; sys.argv[0] = 'ops'; sys.exit(ops())"
    done = subprocess.run(
        [sys.executable, "-c", main, *words, "--json", "--workspace", str(child.root)],
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode, json.loads(done.stdout or b"null")


async def test_a_dead_letter_is_told_once_and_its_end_when_it_is_sent_again(
    tmp_path: Path, receiver: Receiver, model: ModelServer
) -> None:
    root = workspace(tmp_path, receiver, model, "/ops")
    gone = {"type": "webhook", "url": receiver.url("/gone"), "label": "#gone"}
    automation(root, "digest", connections=[], delivery={"targets": [gone]})

    with daemon(root) as child:
        await meanwhile(lambda: beats(receiver) == 1)
        receiver.script(410)
        await asyncio.to_thread(child.client.post, "/v1/automations/digest/trigger")
        await meanwhile(lambda: len(told(receiver, "/ops")) == 2)
        child.kill()
    assert sorted(told(receiver, "/ops")) == [
        ("alert", "dead_letter"),
        ("alert", "target_disabled"),
    ]

    with daemon(root) as child:
        await meanwhile(lambda: beats(receiver) == 2)
        assert len(told(receiver, "/ops")) == 2
        since = ("deliveries", "retry", "--since", "24h")
        none = await asyncio.to_thread(ops, child, *since, "--target", "#other")
        again = await asyncio.to_thread(ops, child, *since, "--target", "#gone")
        await meanwhile(lambda: len(told(receiver, "/ops")) == 4)
        _, listed = await asyncio.to_thread(ops, child, "deliveries", "list")
        status = await asyncio.to_thread(child.client.get, "/v1/status")

    assert none == (0, [])
    code, (row,) = again
    assert (code, row["target"], row["kind"], row["status"]) == (0, "#gone", "result", "pending")
    ended = told(receiver, "/ops")[2:]
    assert sorted(ended) == [("recovered", "dead_letter"), ("recovered", "target_disabled")]
    assert {each["kind"] for each in listed} == {"result", "workspace_alert", "workspace_recovery"}
    assert {each["run_id"] for each in listed if each["kind"] != "result"} == {None}
    assert status["degraded"] == []
    assert "T0SECRET" not in child.output


async def test_an_alert_that_reaches_nobody_degrades_and_stops_the_heartbeat(
    tmp_path: Path, receiver: Receiver, model: ModelServer
) -> None:
    root = workspace(tmp_path, receiver, model)
    pager = {"type": "webhook", "url": receiver.url("/pager"), "label": "#pager"}
    automation(root, "digest", connections=[], failureAlert={"targets": [pager]})
    model.script(*[Turn(status=400, error="no such model")] * 5)

    with daemon(root) as child:
        await meanwhile(lambda: beats(receiver) == 1)
        receiver.script(410)
        await asyncio.to_thread(child.client.post, "/v1/automations/digest/trigger")
        degraded = await meanwhile(lambda: child.client.get("/v1/status")["degraded"])
        ready = await asyncio.to_thread(child.client.get, "/v1/status")
        child.kill()
    with daemon(root) as child:
        await meanwhile(lambda: "heartbeat.withheld" in child.output)

    assert "#pager" in degraded[0]
    assert "HTTP 410 Gone" in degraded[0]
    assert ready["ready"] is True
    assert beats(receiver) == 1


async def test_retry_asks_for_one_message_or_a_time(
    tmp_path: Path, receiver: Receiver, model: ModelServer
) -> None:
    root = workspace(tmp_path, receiver, model)
    with daemon(root) as child:
        codes = [
            (await asyncio.to_thread(ops, child, "deliveries", "retry", *words))[0]
            for words in ((), ("msg_1", "--since", "1h"), ("msg_none",), ("--since", "soon"))
        ]
    assert codes == [2, 2, 4, 2]
