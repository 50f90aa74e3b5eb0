"""One run that does everything: parallel reads, a write, a store, sub-agents, an MCP tool.

The model answers by what it is shown and with fixed call ids, so that a request stands for one
step of the journal whenever it is sent.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amodal_rt.testing.model_server import Asked, Call, Turn

PROMPT = "Read GET /a and GET /b, POST /w, and dispatch: GET /one, POST /two."
RESULT = '{"all": "done"}'
TURNS = 8
TOKENS = (11, 7)
"""Input and output tokens of each answer."""

OUTCOMES = {"tool.finished", "tool.failed", "tool.denied", "write.finished", "write.failed"}


def _request(id: str, method: str, path: str) -> Call:
    arguments: dict[str, object] = {"connection": "crm", "method": method, "endpoint": path}
    return Call("request", arguments, id=id)


_MAIN: Sequence[Sequence[Call]] = (
    (
        _request("a", "GET", "/a"),
        _request("b", "GET", "/b"),
        Call("tools__lookup", {"name": "alpha"}, id="m"),
    ),
    (
        _request("w", "POST", "/w"),
        Call("write_store", {"store": "seen", "key": "k", "value": {"n": 1}}, id="s"),
    ),
    (
        Call("dispatch_task", {"task": "task one"}, id="d1"),
        Call("dispatch_task", {"task": "task two"}, id="d2"),
    ),
)
_TASKS: Mapping[str, tuple[str, Call]] = {
    "task one": ("d1", _request("x", "GET", "/one")),
    "task two": ("d2", _request("x", "POST", "/two")),
}

REACHED = {
    "GET /a": ("turn:1", "a"),
    "GET /b": ("turn:1", "b"),
    "MCP lookup": ("turn:1", "m"),
    "POST /w": ("turn:2", "w"),
    "GET /one": ("d1/turn:1", "d1/x"),
    "POST /two": ("d2/turn:1", "d2/x"),
}
"""What reaches services, and the (parent, step) of each in the journal."""
WRITES = {"POST /w", "POST /two"}


def answer(asked: Asked) -> Turn:
    """What the model says next."""
    parent, turn = turn_of(asked)
    if parent is None:
        calls = _MAIN[turn - 1] if turn <= len(_MAIN) else ()
    else:
        calls = [call for id, call in _TASKS.values() if id == parent] if turn == 1 else ()
    text = "" if calls else RESULT if parent is None else f"{parent} is done"
    return Turn(text=text, calls=calls, input_tokens=TOKENS[0], output_tokens=TOKENS[1])


def turn_of(asked: Asked) -> tuple[str | None, int]:
    """Which turn a request is: of the run's own agent (None) or of the sub-agent of a call."""
    said = sum(each["role"] == "assistant" for each in asked.body["messages"])
    task = next((id for text, (id, _) in _TASKS.items() if asked.user == text), None)
    return task, said + 1


def place_of(asked: Asked) -> tuple[str | None, str]:
    """The (parent, step) of the request in the journal."""
    parent, turn = turn_of(asked)
    return parent, f"turn:{turn}" if parent is None else f"{parent}/turn:{turn}"


@dataclass(frozen=True)
class Told:
    """What the journal says so far."""

    entries: Sequence[Mapping[str, Any]]

    def places(self, types: Iterable[str]) -> set[tuple[str | None, str]]:
        """(parent, step) of the entries of these types."""
        wanted = set(types)
        return {(each["parent"], each["step"]) for each in self.entries if each["type"] in wanted}

    @property
    def done(self) -> set[tuple[str | None, str]]:
        """Steps whose outcome stands."""
        return self.places(OUTCOMES | {"turn.finished"})

    @property
    def unknown(self) -> set[tuple[str | None, str]]:
        """Writes that began and have no outcome."""
        return self.places({"write.started"}) - self.places(OUTCOMES)


def repeated(told: Told, requests: Iterable[Asked], reached: Iterable[str]) -> list[str]:
    """The steps among what was asked and called afterwards whose outcome stood in `told`, and
    the writes whose outcome nobody knew."""
    done = told.done
    again = [str(place) for each in requests if (place := place_of(each)) in done]
    forbidden = done | told.unknown
    return again + [each for each in reached if REACHED[each] in forbidden]


def twice_written(reached: Iterable[str]) -> list[str]:
    """Writes that reached their service more than once."""
    counted = Counter(each for each in reached if each in WRITES)
    return [each for each, count in counted.items() if count > 1]


def mcp_reached(lines: Iterable[str]) -> list[str]:
    """What reached the MCP server, of the lines that it wrote down."""
    return [f"MCP {json.loads(line)['tool']}" for line in lines]
