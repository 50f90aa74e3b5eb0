"""`ops connections test` says what is wrong in words, and which line would change it."""

import asyncio
import socket
from typing import Any

import pytest
from agent_house import AgentHouse
from aiohttp import web

from amodal_rt.domain.connection import Connection, McpServer


async def tried(house: AgentHouse, connection: Connection) -> tuple[str, str]:
    found: dict[str, Any] = await house.probe.test(connection)
    assert found["ok"] is False
    return found["detail"], found["hint"]


async def test_where_nobody_listens_it_says_so_over_both_protocols(house: AgentHouse) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
        rest = await tried(house, house.rest(base_url=nowhere))
        mcp = await tried(house, house.mcp(mcp=McpServer(url=f"{nowhere}/mcp")))

    words = "connection refused: nothing listens there"
    assert rest == (f"no answer from crm ({words})", "baseUrl in connections/crm/spec.json")
    assert words in mcp[0]
    assert mcp[1] == "url in connections/tools/spec.json"


async def test_a_name_that_nobody_knows_is_no_class_of_a_library(house: AgentHouse) -> None:
    detail, _ = await tried(house, house.rest(base_url="http://no-such-host.invalid"))

    assert detail == "no answer from crm (its host name is not known)"


async def test_who_hangs_up_is_said_to_have(house: AgentHouse) -> None:
    def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        detail, _ = await tried(house, house.rest(base_url=f"http://127.0.0.1:{port}"))

    assert detail == "no answer from crm (it hung up before it answered)"


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "auth in connections/crm/spec.json, and what .env says of CRM_TOKEN"),
        (404, "testPath in connections/crm/spec.json: a path that answers a GET"),
        (500, None),
    ],
)
async def test_an_answer_that_is_no_success_names_the_line_that_would_change_it(
    house: AgentHouse, status: int, hint: str | None
) -> None:
    house.service.answers = [web.Response(status=status)]

    detail, said = await tried(house, house.rest())

    assert f"HTTP {status}" in detail
    assert said == hint


async def test_a_redirect_is_no_success_and_says_where_it_leads(house: AgentHouse) -> None:
    signing_in = {"Location": "https://crm.example/login?next=/"}
    house.service.answers = [web.Response(status=302, headers=signing_in)]

    detail, hint = await tried(house, house.rest())

    assert detail == (
        "HTTP 302 application/octet-stream /, which leads to https://crm.example/login?next=/"
    )
    assert hint.startswith("redirects are not followed: auth in connections/crm/spec.json")


async def test_an_address_that_is_not_allowed_names_the_setting(house: AgentHouse) -> None:
    detail, hint = await tried(house, house.rest(base_url="http://10.255.255.1"))

    assert "refused by the egress guard" in detail
    assert "egress.allowPrivate" in hint
