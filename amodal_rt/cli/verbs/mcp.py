"""`amodal-rt mcp`: hands the messages of an MCP client on its standard input to the daemon.

The daemon speaks the protocol; this knows as much of it as the headers of a request need.
"""

import base64
import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import BinaryIO, Protocol, cast

from amodal_rt.errors import (
    AmodalError,
    DeniedError,
    InternalError,
    InvalidError,
    UnavailableError,
)

PATH = "/mcp"
LONGEST_LINE = 1_048_576
"""Bytes of a message, as over TCP."""
AT_ONCE = 8
"""Calls that are under way; more wait."""

_PING = b'{"jsonrpc":"2.0","id":0,"method":"ping"}'
_UNREACHABLE, _PARSE, _INVALID = -32000, -32700, -32600
_ENVELOPE = "io.modelcontextprotocol/protocolVersion"
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Which parameter of a method stands in a header as well."""
_PLAIN = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")

Message = Mapping[str, object]


class Daemon(Protocol):
    """The part of the client that is needed. May raise any `AmodalError`."""

    where: str

    def exchange(self, path: str, content: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of a POST."""
        ...


def greet(daemon: Daemon) -> None:
    """Raise UnavailableError when no daemon is there, DeniedError when it lets nobody in with
    this token."""
    status, content = daemon.exchange(PATH, _PING, headers_for({}, None))
    if status != 200:
        raise _refusal(status, content, daemon.where)


class Relay:
    """One client's messages, in any number at once; each answer is one line of `into`."""

    def __init__(self, daemon: Daemon, into: BinaryIO, remark: Callable[[str], None]) -> None:
        self._daemon = daemon
        self._into = into
        self._remark = remark
        self._one_at_a_time = threading.Lock()
        self._version: str | None = None

    def run(self, lines: BinaryIO) -> None:
        """Until the client says no more, and all of it is answered."""
        with ThreadPoolExecutor(AT_ONCE) as calls:
            while line := lines.readline(LONGEST_LINE + 1):
                if len(line) > LONGEST_LINE:
                    self._skip(lines, line)
                elif line.strip():
                    message = self._read(line)
                    if message is None:
                        continue
                    if message.get("method") == "initialize":
                        # What follows says which version this one has agreed upon.
                        self._hand_on(line, message)
                    else:
                        calls.submit(self._hand_on, line, message)

    def _read(self, line: bytes) -> Message | None:
        try:
            message = cast("object", json.loads(line))
        except (ValueError, RecursionError):
            self._say(_error(None, _PARSE, "the line is not JSON"))
            return None
        if not isinstance(message, dict):
            self._say(_error(None, _INVALID, "the line is no message of JSON-RPC"))
            return None
        return cast("Message", message)

    def _skip(self, lines: BinaryIO, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            line = lines.readline(LONGEST_LINE)
        self._say(_error(None, _INVALID, f"a message has at most {LONGEST_LINE:,} bytes"))

    def _hand_on(self, line: bytes, message: Message) -> None:
        try:
            headers = headers_for(message, self._version)
            status, content = self._daemon.exchange(PATH, line.strip(), headers)
            answer = _answer(content)
            if answer is None and status != 202:
                raise _refusal(status, content, self._daemon.where)
        except AmodalError as error:
            self._remark(f"error: {error.message}")
            data = {"code": error.code, "hint": error.hint}
            answer = _error(message.get("id"), _UNREACHABLE, error.message, data)
        if answer is None or "id" not in message:
            return
        if message.get("method") == "initialize":
            self._agree(answer)
        if answer.get("id") is None:
            # What the daemon could not read to its end it answers without the id.
            answer = {**answer, "id": message["id"]}
        self._say(answer)

    def _agree(self, answer: Message) -> None:
        result = answer.get("result")
        version = (
            cast("Message", result).get("protocolVersion") if isinstance(result, dict) else None
        )
        self._version = version if isinstance(version, str) else None

    def _say(self, answer: Message) -> None:
        # Without a line break inside: one would end the message for its reader.
        line = json.dumps(answer, separators=(",", ":")).encode() + b"\n"
        with self._one_at_a_time:
            self._into.write(line)
            self._into.flush()


def headers_for(message: Message, agreed: str | None) -> dict[str, str]:
    """The headers of the request that carries a message: versions without sessions say in them
    what the message says."""
    headers = {"Accept": "application/json, text/event-stream"}
    method = message.get("method")
    params = _object(message.get("params"))
    said = _object(params.get("_meta")).get(_ENVELOPE)
    version = said if isinstance(said, str) else agreed
    if version is not None and method != "initialize":
        headers["Mcp-Protocol-Version"] = _plain(version)
    if isinstance(said, str) and isinstance(method, str):
        headers["Mcp-Method"] = _plain(method)
        name = params.get(_NAMED.get(method, ""))
        if isinstance(name, str):
            headers["Mcp-Name"] = _plain(name)
    return headers


def _plain(text: str) -> str:
    """The text where a header can hold it, else wrapped as the protocol says."""
    if _PLAIN.fullmatch(text) and not text.startswith("=?base64?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode('utf-8', 'replace')).decode()}?="


def _object(value: object) -> Message:
    return cast("Message", value) if isinstance(value, dict) else {}


def _answer(content: bytes) -> Message | None:
    """The message that an answer holds, or None."""
    try:
        found = _object(json.loads(content or b"null"))
    except ValueError:
        return None
    return found if found.get("jsonrpc") == "2.0" else None


def _refusal(status: int, content: bytes, where: str) -> AmodalError:
    """What a door says that is no message of the protocol."""
    error: Message = {}
    with suppress(ValueError):
        error = _object(_object(json.loads(content)).get("error"))
    if not isinstance(error.get("message"), str):
        return InternalError(f"{where} answered {status}, which is no MCP server's answer")
    kinds: dict[object, type[AmodalError]] = {
        each.kind: each for each in (DeniedError, InvalidError, UnavailableError)
    }
    kind = kinds.get(error.get("kind"), InternalError)
    code, hint = error.get("code"), error.get("hint")
    return kind(
        str(error["message"]),
        code=code if isinstance(code, str) else None,
        hint=hint if isinstance(hint, str) else None,
    )


def _error(
    id: object, code: int, message: str, data: Mapping[str, object] | None = None
) -> dict[str, object]:
    error: dict[str, object] = {"code": code, "message": message}
    return {"jsonrpc": "2.0", "id": id, "error": error | ({"data": data} if data else {})}
