"""Automations whose agents call our own MCP server: a chain is counted through it too."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from api_house import ADA, ApiHouse, api_house
from daemon_child import automation, write

from amodal_rt.domain.cause import Cause
from amodal_rt.domain.run import OPEN, Run
from amodal_rt.guardrails.causes import HEADER, META
from amodal_rt.ports import RunFilter
from amodal_rt.testing.model_server import Asked, Call, ModelServer, Turn


def again(asked: Asked) -> Turn:
    """Run oneself once more, then be done."""
    if asked.results:
        return Turn(text="done")
    return Turn(calls=[Call("own__AUTOMATION_RUN", {"id": "loop"})])


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[ApiHouse, None]:
    root = tmp_path / "workspace"
    async with ModelServer() as server:
        server.answer(again)
        provider = {"type": "openai-compatible", "baseUrl": server.openai_url}
        settings = {"model": "local:small", "providers": {"local": provider}}
        write(root, "amodal.json", {**settings, "egress": {"allowPrivate": ["127.0.0.0/8"]}})
        automation(root, "loop", connections=["own"], writeEnabled=True)
        automation(root, "asked", connections=[], inputSchema={})
        # Until it has an address: nobody is there yet.
        write(root, "connections/own/spec.json", {"protocol": "runtime"})
        async with api_house(root) as opened:
            yield opened


async def runs(api: ApiHouse, count: int) -> list[Run]:
    """All runs, oldest first, once there are as many and all have ended."""
    ledger = api.house.ground.ledger
    async with asyncio.timeout(30):
        while True:
            found = await ledger.list_runs(RunFilter(limit=50))
            if len(found) >= count and not any(each.status in OPEN for each in found):
                return list(reversed(found))
            await asyncio.sleep(0.05)


async def play(api: ApiHouse, spec: dict[str, Any]) -> list[tuple[int, str, str | None]]:
    write(api.root, "connections/own/spec.json", spec)
    await api.house.ground.workspace.reload()
    await api.house.automations.trigger(ADA, "loop")
    return [(each.depth, each.status.value, each.reason) for each in await runs(api, 5)]


CHAIN = [
    (0, "completed", None),
    (1, "completed", None),
    (2, "completed", None),
    (3, "completed", None),
    (4, "skipped", "depth_limit"),
]


async def test_a_chain_over_http_is_counted(api: ApiHouse) -> None:
    write(api.root, ".env", f"OWN_TOKEN={await api.secret('trigger')}\n")
    headers = {"x-api-key": "env:OWN_TOKEN"}

    found = await play(
        api,
        {"protocol": "mcp", "transport": "http", "url": f"{api.url}/mcp", "headers": headers},
    )

    assert found == CHAIN


async def test_a_chain_over_stdio_is_counted(api: ApiHouse) -> None:
    args = ["-m", "amodal_rt", "mcp", "--workspace", str(api.root)]

    found = await play(
        api, {"protocol": "mcp", "transport": "stdio", "command": sys.executable, "args": args}
    )

    assert found == CHAIN


@pytest.mark.parametrize("tool", ["AUTOMATION_RUN", "EVENT_EMIT"])
async def test_a_mark_counts_wherever_it_stands_and_the_deepest_wins(
    api: ApiHouse, tool: str
) -> None:
    causes = api.house.causes
    shallow, deep = causes.token(Cause(depth=0)), causes.token(Cause(depth=3))
    secret = await api.secret("trigger")
    asked = {"AUTOMATION_RUN": {"id": "asked"}, "EVENT_EMIT": {"type": "deploy.finished"}}[tool]
    depths: list[object] = []
    for header, meta in ((deep, None), (None, deep), (shallow, deep), (deep, shallow), ("x", "y")):
        call = {"name": tool, "arguments": asked, "_meta": {META: meta} if meta else {}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if header is not None:
            headers[HEADER] = header
        told = (await api.ask(secret, "POST", "/mcp", message, **headers))[1]
        found = json.loads(told["result"]["content"][0]["text"])
        if tool == "EVENT_EMIT":
            event = await api.house.ground.ledger.find_event(found["event_id"])
            assert event is not None
            depths.append(event.event.depth)
        else:
            depths.append(found["skipped"] or "ran")

    if tool == "EVENT_EMIT":
        assert depths == [4, 4, 4, 4, 0]
    else:
        assert depths == ["depth_limit"] * 4 + ["ran"]


async def test_an_invocation_over_http_is_counted_too(api: ApiHouse) -> None:
    mark = api.house.causes.token(Cause(depth=3))
    secret = await api.secret("trigger", "read")
    body = {"payload": {}, "idempotency_key": "k"}
    path = "/api/v1/automations/asked/invoke"

    _, deep = await api.ask(secret, "POST", path, body, **{HEADER: mark})
    _, plain = await api.ask(secret, "POST", path, body)

    assert (deep["status"], deep["reason"]) == ("skipped", "depth_limit")
    # What never ran has not taken the key.
    assert plain["status"] != "skipped"
    assert json.dumps(deep["id"]) != json.dumps(plain["id"])
