"""What stands outside the daemons of a sweep: a model, a service, an MCP server, receivers.

One server for all scenes at once; the first part of a path, or the word `scene-NAME` in a
prompt, says whose a request is. Everything that arrives is kept, for the checker.
"""

import re
import threading
from collections import Counter, defaultdict
from typing import Any, Self

import tiny_mcp
from stub_http import Reply, Request, Stub
from stub_model import Chat, Model, Refuse, Say, Turn, Use

SCENE = re.compile(r"scene-([a-z0-9]+) (\w+)")


class World:
    """The services. `arrived(scene)` is what reached them from one scene."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrived: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._seen: Counter[tuple[str, str]] = Counter()
        self.model = Model(self._think)
        self.services = Stub(self._serve)

    def __enter__(self) -> Self:
        self.model.__enter__()
        self.services.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.model.__exit__()
        self.services.__exit__()

    def arrived(self, scene: str) -> list[dict[str, Any]]:
        """`{at, ...}` for each request of a scene, in order of arrival."""
        with self._lock:
            return list(self._arrived[scene])

    def forget(self, scene: str) -> None:
        """Let go of what is kept of a scene."""
        with self._lock:
            self._arrived.pop(scene, None)
        self.model.requests.clear()
        self.services.requests.clear()

    def _keep(self, scene: str, what: dict[str, Any]) -> int:
        """Keep it, and say how often its like has come."""
        with self._lock:
            self._arrived[scene].append(what)
            self._seen[scene, what["at"]] += 1
            return self._seen[scene, what["at"]]

    def _think(self, chat: Chat) -> Turn:
        found = SCENE.search(chat.prompt)
        if not found:
            return Say("whose am I?")
        scene, part = found.groups()
        count = self._keep(scene, {"at": f"model/{part}", "turn": chat.turn})
        if part == "broken" or (part == "flaky" and count == 1):
            return Refuse(400, "scripted failure")
        turns = _PARTS.get(part, [])
        return turns[chat.turn] if chat.turn < len(turns) else Say(f"{part} is done")

    def _serve(self, request: Request) -> Reply:
        _, scene, place, *_ = [*request.path.split("/"), "", ""]
        if place == "mcp":
            return self._speak_mcp(scene, request)
        key = request.headers.get("idempotency-key")
        message = request.headers.get("webhook-id")
        at = f"{request.method} {place}"
        count = self._keep(scene, {"at": at, "key": key, "message": message})
        if place == "shaky" and count == 1:
            return Reply(503, headers={"Retry-After": "1"})
        return Reply(200, {"deals": [1, 2]})

    def _speak_mcp(self, scene: str, request: Request) -> Reply:
        if request.method != "POST":
            return Reply(405)
        message = request.json()
        call = tiny_mcp.called(message)
        if call is not None:
            self._keep(scene, {"at": f"mcp {call['tool']}", "key": call["key"]})
        answer = tiny_mcp.respond(message)
        return Reply(202) if answer is None else Reply(200, answer)


def _request(method: str) -> tuple[str, dict[str, Any]]:
    more = {"data": {"name": "x"}} if method == "POST" else {}
    return "request", {"connection": "crm", "method": method, "endpoint": "/deals", **more}


_PARTS: dict[str, list[Turn]] = {
    "writer": [
        Use((_request("GET"),)),
        Use((_request("POST"),)),
        Use((("write_store", {"store": "kept", "key": "last", "value": {"n": 1}}),)),
    ],
    "tools": [
        Use((("tiny__peek", {}), ("web__peek", {}))),
        Use((("tiny__put", {}),)),
        Use((("web__put", {}),)),
    ],
}
