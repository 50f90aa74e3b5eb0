"""A TCP door of our own over real tokens, and a client that shows what it is told to."""

import io
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from amodal_rt.clock import SystemClock
from amodal_rt.daemon.signals import ProcessSignals
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.ids import SystemIds
from amodal_rt.intake.endpoints import Endpoints
from amodal_rt.intake.requests import Answer, RawRequest
from amodal_rt.operations.address import Address
from amodal_rt.operations.tokens import Tokens
from amodal_rt.ports import Caller
from amodal_rt.servers.deadlines import Deadlines
from amodal_rt.servers.guard import Guard, Guarded
from amodal_rt.servers.serve import TcpDoor
from amodal_rt.servers.tokens import TokenCheck
from amodal_rt.servers.webhooks import webhook_routes
from amodal_rt.settings import Environment
from amodal_rt.storage.sqlite import SqliteLedger

ADA = Caller(actor="ada", door="cli")


class Files:
    """An empty workspace."""

    def snapshot(self) -> Snapshot:
        return Snapshot(version=1)

    def environment(self) -> Environment:
        return Environment()


@dataclass
class GuardedDoor:
    """A door that listens, and the tokens that count at it."""

    url: str
    tokens: Tokens
    session: aiohttp.ClientSession

    async def secret(self, *scopes: str, name: str = "ci") -> str:
        return str((await self.tokens.create(ADA, name, scopes))["secret"])

    async def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else io.BytesIO(body)
        async with self.session.request(
            method, f"{self.url}{path}", data=data, headers=given
        ) as answer:
            content = await answer.read()
            told = json.loads(content) if content else None
            return answer.status, told, {k.lower(): v for k, v in answer.headers.items()}


@asynccontextmanager
async def guarded_door(
    folder: Path, routes: Sequence[Guarded], *, deadlines: Deadlines | None = None
) -> AsyncGenerator[GuardedDoor, None]:
    """`routes` behind the guard, over a new ledger in `folder`."""
    clock, signals, files = SystemClock(), ProcessSignals(), Files()
    ids = SystemIds(clock)

    async def accept(raw: RawRequest) -> Answer:
        return Answer(status=202, document={"status": "accepted"})

    async with SqliteLedger(folder / "ledger.sqlite", clock=clock, ids=ids) as ledger:
        tokens = Tokens(ledger, signals=signals, clock=clock, ids=ids)
        address = Address(files, Endpoints(b"key", files, ledger))
        guard = Guard(TokenCheck(tokens, address), clock=clock, deadlines=deadlines)
        proven = webhook_routes(
            accept, lambda: None, integrations=accept, callbacks=accept, clock=clock
        )
        door = TcpDoor(proven, guard=guard, guarded=routes, deadlines=deadlines)
        await door.open("127.0.0.1:0")
        address.bound = door.url
        try:
            async with aiohttp.ClientSession() as session:
                yield GuardedDoor(door.url, tokens, session)
        finally:
            await door.close()
