"""`amodal-rt mcp` between a client's lines and the daemon's answers."""

import io
import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from amodal_rt.cli.verbs.mcp import LONGEST_LINE, Relay, greet, headers_for
from amodal_rt.errors import DeniedError, InternalError, UnavailableError

ENVELOPE = "io.modelcontextprotocol/protocolVersion"


class Daemon:
    """Answers as it is told to, and remembers what it was asked."""

    where = "http://here"

    def __init__(self, *answers: tuple[int, Any] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[bytes, Mapping[str, str]]] = []
        self.lock = threading.Lock()

    def exchange(self, path: str, content: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        with self.lock:
            self.asked.append((content, headers))
            # A message that asks nothing may overtake one that does.
            silent = b'"id"' not in content and not isinstance(
                self.answers[0] if self.answers else 0, Exception
            )
            answer = (202, b"") if silent else self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, told = answer
        return status, told if isinstance(told, bytes) else json.dumps(told).encode()


def relayed(daemon: Daemon, *messages: Any) -> tuple[list[Any], list[str]]:
    """What the client reads, line by line, and what was said on standard error."""
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in messages]
    into, said = io.BytesIO(), list[str]()
    Relay(daemon, into, said.append).run(io.BytesIO(b"\n".join([*lines, b""])))
    return [json.loads(line) for line in into.getvalue().splitlines()], said


def answer(id: int, result: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": result}


def test_the_version_that_was_agreed_upon_is_said_from_then_on() -> None:
    daemon = Daemon((200, answer(1, {"protocolVersion": "2025-11-25"})), (200, answer(2, {})))

    heard, said = relayed(
        daemon,
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "ping"},
    )

    assert [each["id"] for each in heard] == [1, 2]
    assert said == []
    assert "Mcp-Protocol-Version" not in daemon.asked[0][1]
    versions = {headers.get("Mcp-Protocol-Version") for _, headers in daemon.asked[1:]}
    assert versions == {"2025-11-25"}


def test_a_message_that_stands_for_itself_says_so_in_its_headers() -> None:
    params = {"_meta": {ENVELOPE: "2026-07-28"}, "name": "AUTOMATION_GET"}

    said = headers_for({"method": "tools/call", "params": params}, "2025-11-25")
    odd = headers_for({"method": "tools/call", "params": {**params, "name": "naïve\r\nX: y"}}, None)

    assert said["Mcp-Protocol-Version"] == "2026-07-28"
    assert (said["Mcp-Method"], said["Mcp-Name"]) == ("tools/call", "AUTOMATION_GET")
    assert odd["Mcp-Name"] == "=?base64?bmHDr3ZlDQpYOiB5?="


def test_a_daemon_that_went_away_is_an_error_of_the_call() -> None:
    gone = UnavailableError("no daemon answers", code="daemon_unreachable", hint="run it")
    daemon = Daemon(gone, (200, answer(2, {})), gone)

    heard, said = relayed(
        daemon,
        {"jsonrpc": "2.0", "id": 1, "method": "initialize"},
        {"jsonrpc": "2.0", "id": 2, "method": "initialize"},
        {"jsonrpc": "2.0", "method": "notifications/cancelled"},
    )

    assert heard[0]["id"] == 1
    assert heard[0]["error"]["message"] == "no daemon answers"
    assert heard[0]["error"]["data"] == {"code": "daemon_unreachable", "hint": "run it"}
    assert heard[1] == answer(2, {})
    assert said == ["error: no daemon answers"] * 2


def test_what_a_door_refuses_is_an_error_of_the_call() -> None:
    told = {"error": {"code": "unauthorized", "kind": "denied", "message": "a token", "hint": "x"}}
    daemon = Daemon((401, told), (502, b"<html>"))

    heard, _ = relayed(
        daemon,
        {"jsonrpc": "2.0", "id": 1, "method": "initialize"},
        {"jsonrpc": "2.0", "id": 2, "method": "initialize"},
    )

    assert heard[0]["error"]["data"] == {"code": "unauthorized", "hint": "x"}
    assert (
        heard[1]["error"]["message"] == "http://here answered 502, which is no MCP server's answer"
    )


def test_an_answer_without_an_id_gets_that_of_its_question() -> None:
    refused = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no"}}

    heard, _ = relayed(Daemon((400, refused)), {"jsonrpc": "2.0", "id": 7, "method": "x"})

    assert heard == [{**refused, "id": 7}]


def test_lines_that_are_no_messages_are_answered_and_passed_over() -> None:
    daemon = Daemon((200, answer(1, {})))

    heard, _ = relayed(
        daemon,
        b"{",
        b"[]",
        b"",
        b'{"x": "' + b"y" * (2 * LONGEST_LINE) + b'"}',
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
    )

    codes = sorted(each["error"]["code"] for each in heard if "error" in each)
    assert codes == [-32700, -32600, -32600]
    assert len(daemon.asked) == 1
    assert answer(1, {}) in heard


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ((401, {"error": {"kind": "denied", "code": "unauthorized", "message": "m"}}), DeniedError),
        ((404, {"error": {"kind": "other", "code": "x", "message": "m"}}), InternalError),
        ((200, b""), None),
        ((503, b"busy"), InternalError),
    ],
)
def test_it_says_at_once_when_it_is_not_let_in(given: Any, kind: Any) -> None:
    if kind is None:
        greet(Daemon(given))
        return
    with pytest.raises(kind):
        greet(Daemon(given))
