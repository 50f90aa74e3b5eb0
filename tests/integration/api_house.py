"""A real daemon inside the test, and a TCP door of ours over its rooms."""

import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
from daemon_child import write

from amodal_rt.daemon.embedding import Runtime
from amodal_rt.daemon.house import House
from amodal_rt.ports import Caller
from amodal_rt.servers.serve import TcpDoor
from amodal_rt.servers.sse import Streams

ADA = Caller(actor="ada", door="cli")


class ApiHouse:
    """The rooms, and a door over them at `url`."""

    def __init__(
        self, root: Path, house: House, url: str, streams: Streams, session: aiohttp.ClientSession
    ) -> None:
        self.root = root
        self.house = house
        self.url = url
        self.streams = streams
        self.session = session

    async def secret(self, *scopes: str, name: str = "program") -> str:
        made = await self.house.tokens.create(ADA, name, scopes or ("read", "trigger"))
        return str(made["secret"])

    async def ask(
        self, secret: str, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and document of one request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.request(
            method,
            f"{self.url}{path}",
            data=None if body is None else json.dumps(body),
            headers={"x-api-key": secret, **named},
        ) as answer:
            content = await answer.read()
            return answer.status, json.loads(content) if content else None

    async def audited(self) -> list[tuple[str, str, str, str]]:
        """Action, subject, actor and door of each change on record."""
        database = self.root / ".amodal-rt" / "ledger.sqlite"
        with closing(sqlite3.connect(database)) as ledger:
            rows = ledger.execute("SELECT action, subject, actor, door FROM audit ORDER BY number")
            return [tuple(each) for each in rows]

    def file(self, name: str) -> Any:
        """What stands in an automation's file."""
        return json.loads((self.root / "automations" / name).read_text("utf-8"))


@asynccontextmanager
async def api_house(root: Path) -> AsyncGenerator[ApiHouse, None]:
    """Everything that a daemon has, behind a door at a port of its own."""
    write(root, "connections/runtime/spec.json", {"protocol": "runtime"})
    async with Runtime(root) as runtime:
        house = runtime._house
        assert house is not None
        streams = Streams(house.ground.clock)
        door = TcpDoor(
            [
                *house.proven_routes(lambda: None),
                *house.events_door().routes(),
                *house.dashboard(streams).routes(),
            ],
            guard=house.guard(),
            guarded=house.guarded(streams, house.verbs(dict)),
        )
        await door.open("127.0.0.1:0")
        house.address.bound = door.url
        try:
            async with aiohttp.ClientSession() as session:
                yield ApiHouse(root, house, door.url, streams, session)
        finally:
            streams.close()
            await door.close()
