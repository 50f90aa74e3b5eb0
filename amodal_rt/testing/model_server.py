"""A model provider on a real socket that speaks the providers' own wire formats.

async with ModelServer() as server:
    server.script(Turn(calls=[Call("request", {"connection": "crm", "endpoint": "/deals"})]),
                  Turn(text="three deals"))
    ...  # OPENAI_BASE_URL=server.openai_url, any key

OpenAI Chat Completions (also what openai-compatible servers and Ollama speak), Anthropic
Messages and Google generateContent, chosen by path alone. Every request is recorded as it
came. Without a script, or when it is used up, every answer is the text `done`.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call that the model makes; `id` empty lets the server number it."""

    tool: str
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer of the model. `status` other than 200 is an error with `error` as its text;
    `cut` says that the answer ended at the length limit; `seconds` delays it; `drop` closes
    the connection instead."""

    text: str = ""
    calls: Sequence[Call] = ()
    input_tokens: int = 11
    output_tokens: int = 7
    status: int = 200
    error: str = "scripted error"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: bool = False
    seconds: float = 0
    drop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: what the provider saw. Header names are lower case."""

    api: str
    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def text(self) -> str:
        """The whole body as JSON text, for "does it occur anywhere"."""
        return json.dumps(self.body, ensure_ascii=False)

    @property
    def model(self) -> str:
        """The model's name as the wire carries it."""
        if self.api == "google":
            return self.path.rpartition("/models/")[2].partition(":")[0]
        return str(self.body["model"])

    @property
    def system(self) -> str:
        """The system prompt."""
        if self.api == "anthropic":
            return _joined(self.body.get("system", ""))
        if self.api == "google":
            return _joined(self.body.get("systemInstruction", {}).get("parts", ""))
        roles = {"system", "developer"}
        return "\n".join(
            _joined(each["content"]) for each in self.body["messages"] if each["role"] in roles
        )

    @property
    def user(self) -> str:
        """The text of the first user message."""
        if self.api == "google":
            return _joined(self.body["contents"][0]["parts"])
        users = [each for each in self.body["messages"] if each["role"] == "user"]
        return _joined(users[0]["content"])

    @property
    def tools(self) -> dict[str, dict[str, Any]]:
        """Offered tools: parameters' schema by name."""
        if self.api == "openai":
            functions = [each["function"] for each in self.body.get("tools", [])]
            return {each["name"]: each["parameters"] for each in functions}
        if self.api == "anthropic":
            return {each["name"]: each["input_schema"] for each in self.body.get("tools", [])}
        declared = [
            each
            for group in self.body.get("tools", [])
            for each in group.get("functionDeclarations", [])
        ]
        return {
            each["name"]: each.get("parametersJsonSchema") or each.get("parameters", {})
            for each in declared
        }

    @property
    def results(self) -> list[str]:
        """What tools returned so far, in order."""
        if self.api == "openai":
            return [
                _joined(each["content"]) for each in self.body["messages"] if each["role"] == "tool"
            ]
        if self.api == "anthropic":
            blocks = [
                block
                for message in self.body["messages"]
                if isinstance(message["content"], list)
                for block in message["content"]
            ]
            return [_joined(each["content"]) for each in blocks if each["type"] == "tool_result"]
        parts = [part for message in self.body["contents"] for part in message["parts"]]
        return [
            json.dumps(part["functionResponse"]["response"])
            for part in parts
            if "functionResponse" in part
        ]


Answering = Callable[[Asked], Turn | None]


class ModelServer:
    """Listens on a free port of 127.0.0.1, records every request and answers by script."""

    def __init__(self) -> None:
        self.requests: list[Asked] = []
        self._script: deque[Turn] = deque()
        self._answering: Answering | None = None
        self._calls = 0
        self._port = 0
        self._arrived = asyncio.Condition()
        app = web.Application(client_max_size=64 * 1_048_576)
        app.router.add_post("/v1/chat/completions", self._openai)
        app.router.add_post("/v1/messages", self._anthropic)
        app.router.add_post("/{version}/models/{model}", self._google)
        self._runner = web.AppRunner(app, shutdown_timeout=0.5)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 takes a free one."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:port`: the base URL for Anthropic and Google."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_url(self) -> str:
        """The base URL for OpenAI, openai-compatible servers and Ollama."""
        return f"{self.origin}/v1"

    def script(self, *turns: Turn) -> None:
        """Answer the next requests with these, in order."""
        self._script.extend(turns)

    def answer(self, answering: Answering) -> None:
        """Ask this function first; None falls back to the script."""
        self._answering = answering

    async def asked(self, count: int) -> list[Asked]:
        """Wait until `count` requests have come and return all."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return list(self.requests)

    async def _turn(self, api: str, request: web.Request) -> Turn:
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(
            api=api, path=request.path, headers=headers, body=json.loads(await request.read())
        )
        async with self._arrived:
            self.requests.append(asked)
            self._arrived.notify_all()
        turn = self._answering(asked) if self._answering else None
        if turn is None:
            turn = self._script.popleft() if self._script else Turn(text="done")
        if turn.seconds:
            await asyncio.sleep(turn.seconds)  # noqa: TID251  (a slow provider, on purpose)
        if turn.drop and request.transport:
            request.transport.abort()
        return turn

    def _numbered(self, turn: Turn) -> list[tuple[str, Call]]:
        numbered: list[tuple[str, Call]] = []
        for call in turn.calls:
            self._calls += 1
            numbered.append((call.id or f"call_{self._calls}", call))
        return numbered

    async def _openai(self, request: web.Request) -> web.Response:
        turn = await self._turn("openai", request)
        if turn.status != 200:
            return _error(turn, {"error": {"message": turn.error, "type": "error", "code": None}})
        calls = [
            {
                "id": id,
                "type": "function",
                "function": {"name": each.tool, "arguments": json.dumps(each.arguments)},
            }
            for id, each in self._numbered(turn)
        ]
        message: dict[str, object] = {"role": "assistant", "content": turn.text or None}
        if calls:
            message["tool_calls"] = calls
        finish = "length" if turn.cut else "tool_calls" if calls else "stop"
        return web.json_response({
            "id": f"chatcmpl-{len(self.requests)}",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": self.requests[-1].model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {
                "prompt_tokens": turn.input_tokens,
                "completion_tokens": turn.output_tokens,
                "total_tokens": turn.input_tokens + turn.output_tokens,
            },
        })  # fmt: skip

    async def _anthropic(self, request: web.Request) -> web.Response:
        turn = await self._turn("anthropic", request)
        if turn.status != 200:
            error = {"type": "api_error", "message": turn.error}
            return _error(turn, {"type": "error", "error": error})
        content: list[object] = []
        if turn.text:
            content.append({"type": "text", "text": turn.text})
        content += [
            {"type": "tool_use", "id": id, "name": each.tool, "input": dict(each.arguments)}
            for id, each in self._numbered(turn)
        ]
        stop = "max_tokens" if turn.cut else "tool_use" if turn.calls else "end_turn"
        return web.json_response({
            "id": f"msg_{len(self.requests)}",
            "type": "message",
            "role": "assistant",
            "model": self.requests[-1].model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {"input_tokens": turn.input_tokens, "output_tokens": turn.output_tokens},
        })  # fmt: skip

    async def _google(self, request: web.Request) -> web.Response:
        turn = await self._turn("google", request)
        if turn.status != 200:
            error = {"code": turn.status, "message": turn.error, "status": "ERROR"}
            return _error(turn, {"error": error})
        parts: list[object] = []
        if turn.text:
            parts.append({"text": turn.text})
        parts += [
            {"functionCall": {"name": each.tool, "args": dict(each.arguments)}}
            for each in turn.calls
        ]
        return web.json_response({
            "candidates": [{
                "content": {"role": "model", "parts": parts},
                "finishReason": "MAX_TOKENS" if turn.cut else "STOP",
                "index": 0,
            }],
            "usageMetadata": {
                "promptTokenCount": turn.input_tokens,
                "candidatesTokenCount": turn.output_tokens,
                "totalTokenCount": turn.input_tokens + turn.output_tokens,
            },
            "modelVersion": self.requests[-1].model,
            "responseId": f"r{len(self.requests)}",
        })  # fmt: skip


def _error(turn: Turn, document: object) -> web.Response:
    return web.json_response(document, status=turn.status, headers=dict(turn.headers))


def _joined(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts: list[dict[str, Any]] = content or []
    return "\n".join(str(part.get("text", "")) for part in parts)
