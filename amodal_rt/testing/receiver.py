"""A webhook receiver on a real socket, for tests of this project and of its users.

async with Receiver() as receiver:
    receiver.script(Scripted(status=503), Scripted(status=200))
    ...  # point a target at receiver.url("/hook")
    first, second = await receiver.received(2)
    second.verify("whsec_…")
"""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from aiohttp import web
from standardwebhooks import Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """One answer. `hang` never answers; `drop` closes the connection without one."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    hang: bool = False
    drop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came in; header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def message_id(self) -> str | None:
        """`webhook-id`: the same for all attempts of one message."""
        return self.headers.get("webhook-id")

    def verify(self, secret: str) -> None:
        """Raise AssertionError unless the request is signed with `secret`.

        Checked with the standardwebhooks library, apart from the age of the timestamp, so
        that a test may hold the clock. A secret without `whsec_` is a text, not base64.
        """
        webhook = Webhook(secret if secret.startswith("whsec_") else secret.encode())
        signed_at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        expected = webhook.sign(self.headers["webhook-id"], signed_at, self.body.decode())
        assert self.headers.get("webhook-signature") == expected, "wrong webhook-signature"


class Receiver:
    """Listens on a free port of 127.0.0.1, records every request and answers by script.

    Without a script, or when it is used up, every answer is 200.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self._script: deque[Scripted] = deque()
        self._arrived = asyncio.Condition()
        self._closing = asyncio.Event()
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=1)
        self._port = 0

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        await self._runner.cleanup()

    def url(self, path: str = "/", *, host: str = "127.0.0.1") -> str:
        """Where to send to."""
        return f"http://{host}:{self._port}{path}"

    def script(self, *answers: Scripted | int) -> None:
        """Give these answers next, in order; a number is a status."""
        for answer in answers:
            self._script.append(Scripted(status=answer) if isinstance(answer, int) else answer)

    async def received(self, count: int = 1) -> list[Received]:
        """All requests so far, as soon as there are at least `count`."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return list(self.requests)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        received = Received(
            method=request.method,
            path=request.path_qs,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        answer = self._script.popleft() if self._script else Scripted()
        async with self._arrived:
            self.requests.append(received)
            self._arrived.notify_all()
        if answer.hang:
            await self._closing.wait()
        if (answer.drop or answer.hang) and request.transport is not None:
            request.transport.close()
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
