"""The world that agents act on: a model and a service that remembers every write."""

import asyncio
import itertools
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

EVENT = re.compile(r"ev-[0-9]+-[0-9a-f]{8}")
"""What each webhook carries, and each write about it."""
WRITES = 2
"""How often each run writes."""


@dataclass(frozen=True)
class Arrived:
    """One write, as the service saw it. `at` in seconds of the wall clock."""

    at: float
    node: str
    event: str
    number: int
    run: str
    step: str


@dataclass
class Outside:
    """Listens at `address`. Its model writes, looks (for `seconds`), writes again and is done."""

    address: str
    seconds: float = 0.8
    writes: list[Arrived] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_get("/look", self._look)
        app.router.add_post("/write", self._write)
        self._numbers = itertools.count(1)
        self._runner = web.AppRunner(app, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.address, 0).start()
        self.url = f"http://{self.address}:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        found = EVENT.search(json.dumps(body["messages"]))
        assert found is not None
        done = sum(each["role"] == "tool" for each in body["messages"])
        calls = [
            _call("POST", "/write", {"event": found[0], "number": 1}),
            _call("GET", "/look"),
            _call("POST", "/write", {"event": found[0], "number": WRITES}),
        ]
        message: dict[str, Any] = {"role": "assistant", "content": "done"}
        if done < len(calls):
            call = {
                "id": f"call_{next(self._numbers)}",
                "type": "function",
                "function": calls[done],
            }
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        return web.json_response({
            "id": f"c{next(self._numbers)}", "object": "chat.completion",
            "created": 1, "model": "m",
            "choices": [{
                "index": 0, "message": message,
                "finish_reason": "tool_calls" if done < len(calls) else "stop",
            }],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        })  # fmt: skip

    async def _look(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.seconds)
        return web.json_response({"ok": True})

    async def _write(self, request: web.Request) -> web.Response:
        now = time.time()
        body = await request.json()
        run, _, step = request.headers["Idempotency-Key"].partition(":")
        self.writes.append(
            Arrived(now, request.remote or "", body["event"], body["number"], run, step)
        )
        return web.json_response({"ok": True})


def _call(method: str, endpoint: str, data: object = None) -> dict[str, str]:
    arguments = {"connection": "world", "method": method, "endpoint": endpoint}
    if data is not None:
        arguments |= {"data": data, "intent": "write"}
    return {"name": "request", "arguments": json.dumps(arguments)}
