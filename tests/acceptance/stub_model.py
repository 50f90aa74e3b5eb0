"""A model provider: OpenAI's Chat Completions on the wire, a function of the test for a brain."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from stub_http import Reply, Request, Stub
from waiting import eventually


@dataclass(frozen=True)
class Chat:
    """What the model is asked: one request of a conversation."""

    body: dict[str, Any]

    @property
    def turn(self) -> int:
        """How often the model has spoken in this conversation."""
        return sum(message["role"] == "assistant" for message in self.body["messages"])

    @property
    def tools(self) -> set[str]:
        """The names of the tools on offer."""
        return {tool["function"]["name"] for tool in self.body.get("tools") or ()}

    @property
    def prompt(self) -> str:
        """All that the user's messages say."""
        users = [each for each in self.body["messages"] if each["role"] == "user"]
        return "\n".join(text for message in users for text in _texts(message))

    @property
    def results(self) -> list[str]:
        """What the tools have answered so far, in order."""
        tools = [each for each in self.body["messages"] if each["role"] == "tool"]
        return ["\n".join(_texts(message)) for message in tools]

    @property
    def everything(self) -> str:
        """All messages and tools as one text."""
        return json.dumps(self.body, ensure_ascii=False)


def _texts(message: dict[str, Any]) -> Iterator[str]:
    content = message.get("content") or ""
    parts = cast("list[dict[str, Any]]", content if isinstance(content, list) else [])
    if isinstance(content, str):
        yield content
    for part in parts:
        yield str(part.get("text", ""))


@dataclass(frozen=True)
class Say:
    """The model's last word in a conversation."""

    text: str


@dataclass(frozen=True)
class Use:
    """The model calls tools, side by side: `(name, arguments)`."""

    calls: tuple[tuple[str, dict[str, Any]], ...]


@dataclass(frozen=True)
class Refuse:
    """The provider answers with an error."""

    status: int
    message: str = "the provider is out of order"


Turn = Say | Use | Refuse
Brain = Callable[[Chat], Turn]


def use(name: str, **arguments: Any) -> Use:
    """One tool call."""
    return Use(((name, arguments),))


def get(connection: str, endpoint: str, **params: Any) -> tuple[str, dict[str, Any]]:
    """A reading call of `request`, for `Use`."""
    call: dict[str, Any] = {"connection": connection, "method": "GET", "endpoint": endpoint}
    return "request", call | ({"params": params} if params else {})


class Model(Stub):
    """The provider. `brain` decides each turn; `chats` are the conversations' requests."""

    def __init__(self, brain: Brain | None = None) -> None:
        super().__init__()
        self.brain: Brain = brain or (lambda _: Say("done"))
        self.inflight = 0
        self.most_inflight = 0
        self._lock = threading.Lock()
        self._gates: list[threading.Event] = []

    def __exit__(self, *arguments: object) -> None:
        for gate in self._gates:
            gate.set()
        super().__exit__(*arguments)

    @property
    def chats(self) -> list[Chat]:
        """Every question so far, oldest first."""
        return [Chat(each.json()) for each in list(self.requests) if each.method == "POST"]

    def settings(self, **more: Any) -> dict[str, Any]:
        """An `amodal.json` that uses this provider, key in `MODEL_KEY`, loopback allowed."""
        provider = {
            "type": "openai-compatible", "baseUrl": f"{self.url}/v1", "apiKey": "env:MODEL_KEY"
        }  # fmt: skip
        return {
            "model": "stub:scripted",
            "providers": {"stub": provider},
            "egress": {"allowPrivate": ["127.0.0.0/8"]},
            **more,
        }

    def hang(self) -> threading.Event:
        """From now on every turn waits until the returned event is set, then says `released`."""
        gate = threading.Event()
        self._gates.append(gate)

        def wait(_: Chat) -> Turn:
            gate.wait(60)
            return Say("released")

        self.brain = wait
        return gate

    def forget(self) -> None:
        """Begin anew for the next test: nothing asked yet, `done` to everything."""
        for gate in self._gates:
            gate.set()
        eventually(lambda: self.inflight == 0, "no turn is under way")
        self.requests.clear()
        self.most_inflight = 0
        self.brain = lambda _: Say("done")

    def gate(self) -> threading.Event:
        """An event that a brain may wait for; it is set when the provider closes."""
        self._gates.append(threading.Event())
        return self._gates[-1]

    def answer(self, request: Request) -> Reply:
        """One turn, streamed or whole as asked."""
        if not request.path.endswith("/chat/completions"):
            return Reply(404, {"error": {"message": "unknown path"}})
        chat = Chat(request.json())
        with self._lock:
            self.inflight += 1
            self.most_inflight = max(self.most_inflight, self.inflight)
        try:
            turn = self.brain(chat)
        finally:
            with self._lock:
                self.inflight -= 1
        if isinstance(turn, Refuse):
            return Reply(turn.status, {"error": {"message": turn.message, "type": "stub_error"}})
        number = len(self.requests)
        message = _message(turn, number)
        if chat.body.get("stream"):
            return Reply(200, content=_stream(message, number), content_type="text/event-stream")
        return Reply(200, _whole(message, number))


_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def _message(turn: Say | Use, number: int) -> dict[str, Any]:
    if isinstance(turn, Say):
        return {"role": "assistant", "content": turn.text}
    calls = [
        {
            "id": f"call_{number}_{index}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)},
        }
        for index, (name, arguments) in enumerate(turn.calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _finish(message: dict[str, Any]) -> str:
    return "tool_calls" if message.get("tool_calls") else "stop"


def _frame(kind: str, number: int) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{number}",
        "object": kind,
        "created": 1_767_225_600,
        "model": "scripted",
    }


def _whole(message: dict[str, Any], number: int) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": _finish(message)}
    return {**_frame("chat.completion", number), "choices": [choice], "usage": _USAGE}


def _stream(message: dict[str, Any], number: int) -> bytes:
    frame = _frame("chat.completion.chunk", number)
    delta = dict(message)
    if "tool_calls" in delta:
        delta["tool_calls"] = [{"index": i, **each} for i, each in enumerate(delta["tool_calls"])]
    chunks: list[dict[str, Any]] = [
        {**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": _finish(message)}]},
        {**frame, "choices": [], "usage": _USAGE},
    ]
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()
