"""MCP servers over HTTP that were started anew, as whoever asks them finds them."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from agent_house import AgentHouse
from aiohttp import web

from amodal_rt.domain.connection import McpServer

SESSION = "Mcp-Session-Id"


@dataclass
class OlderServer:
    """One of the protocol with sessions, which it forgets when it ends. `tools` are its names."""

    tools: list[str] = field(default_factory=lambda: ["read_it"])
    away: bool = False
    sessions: set[str] = field(default_factory=set[str])
    keeps_sessions: bool = True
    url: str = ""

    def start_anew(self, *tools: str) -> None:
        self.sessions.clear()
        self.tools = list(tools)

    async def answer(self, request: web.Request) -> web.Response:
        if self.away or request.method != "POST":
            return web.Response(status=502 if self.away else 405)
        asked: dict[str, Any] = await request.json()
        known = request.headers.get(SESSION) in self.sessions or not self.keeps_sessions
        if not known and asked["method"] != "initialize":
            return web.Response(status=404)
        if "id" not in asked:
            return web.Response(status=202)
        said, headers = self._said(asked["method"])
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], **said}, headers=headers)

    def _said(self, method: str) -> tuple[dict[str, Any], dict[str, str]]:
        if method == "tools/list":
            tools = [{"name": each, "inputSchema": {"type": "object"}} for each in self.tools]
            return {"result": {"tools": tools}}, {}
        if method != "initialize":
            return {"error": {"code": -32601, "message": "Method not found"}}, {}
        result = {
            "protocolVersion": "2025-06-18",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "older", "version": "1"},
        }
        name = uuid.uuid4().hex
        self.sessions.add(name)
        return {"result": result}, {SESSION: name} if self.keeps_sessions else {}


@pytest.fixture
async def older() -> AsyncIterator[OlderServer]:
    server, app = OlderServer(), web.Application()
    app.router.add_route("*", "/mcp", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
    yield server
    await runner.cleanup()


def _states(tools: list[dict[str, object]]) -> dict[object, object]:
    return {each["name"]: each["state"] for each in tools}


@pytest.mark.parametrize("keeps", [True, False])
async def test_what_a_server_offers_is_what_it_offers_when_it_is_asked(
    house: AgentHouse, older: OlderServer, keeps: bool
) -> None:
    older.keeps_sessions = keeps
    connection = house.mcp(mcp=McpServer(url=older.url))
    assert _states(await house.probe.tools(connection)) == {"read_it": "seen"}

    older.start_anew("read_it", "read_more")

    assert (await house.probe.test(connection))["detail"] == "2 tools"
    assert _states(await house.probe.tools(connection)) == {"read_it": "seen", "read_more": "new"}


async def test_a_server_that_is_away_is_not_said_to_answer(
    house: AgentHouse, older: OlderServer
) -> None:
    connection = house.mcp(mcp=McpServer(url=older.url))
    assert (await house.probe.test(connection))["ok"] is True

    older.away = True

    found = await house.probe.test(connection)
    assert found["ok"] is False
    assert "not available" in str(found["detail"])


async def test_a_new_start_is_another_life_where_the_server_keeps_sessions(
    house: AgentHouse, older: OlderServer
) -> None:
    connection = house.mcp(mcp=McpServer(url=older.url))
    pool = house.executor.services.pool

    async def life() -> int | None:
        await pool.open(connection, house.env())
        return pool.life(connection.name)

    first = await life()
    assert await life() == first
    older.start_anew("read_it")
    assert await life() != first
    assert pool.end_is_seen(connection.name)


async def test_where_it_keeps_none_nobody_would_see_it(
    house: AgentHouse, older: OlderServer
) -> None:
    older.keeps_sessions = False
    connection = house.mcp(mcp=McpServer(url=older.url))
    pool = house.executor.services.pool

    server = await pool.open(connection, house.env())
    server.watch()

    assert await pool.open(connection, house.env()) is server
    assert not pool.end_is_seen(connection.name)
