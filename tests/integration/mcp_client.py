"""The official MCP client, pointed at a door of ours."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from api_house import ApiHouse
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

ERAS = ("legacy", "auto")
"""With the handshake of the versions until 2025, and without."""


class Caller:
    """A client, with what its tools answer as documents."""

    def __init__(self, client: Client, http: httpx2.AsyncClient | None = None) -> None:
        self.client = client
        self.http = http

    async def told(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured content of an answer that is no error."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content
        return result.structured_content

    async def refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The error of an answer that is one."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.structured_content
        return result.structured_content["error"]


@asynccontextmanager
async def over_http(
    api: ApiHouse, secret: str, *, mode: str = "auto", **headers: str
) -> AsyncGenerator[Caller, None]:
    """A client of `/mcp` with a token."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"Authorization": f"Bearer {secret}", **named}
    async with (
        httpx2.AsyncClient(headers=given, timeout=30, trust_env=False) as http,
        Client(streamable_http_client(f"{api.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield Caller(client, http)
