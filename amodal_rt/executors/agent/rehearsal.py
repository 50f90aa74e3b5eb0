"""The model that serves where none is configured: it reads what it may and quotes it.

It goes through the same loop, the same tools and the same gate as any other, so that what it
could read is what an agent could read. It understands nothing and never writes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from amodal_rt.clock import iso
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.models import REHEARSAL
from amodal_rt.executors.acting.mcp_opening import McpTool
from amodal_rt.executors.acting.payload import count_of
from amodal_rt.executors.acting.session import Session, event_data
from amodal_rt.executors.acting.tools import required_of, specs_of
from amodal_rt.guardrails.grants import REQUEST

MARK = f"[{REHEARSAL}]"
QUOTED_CHARACTERS = 2_000
"""How much of each answer is quoted."""

_CALLS = 40
_TOOLS_A_SERVER = 5


@dataclass(frozen=True, slots=True)
class _Reading:
    """One call, and how to speak of it."""

    tool: str
    arguments: dict[str, object]
    label: str


class RehearsalModel(Model):
    """Two turns: read everything that can be read without understanding, then report it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    @property
    def model_name(self) -> str:
        return REHEARSAL

    @property
    def system(self) -> str:
        return "amodal-rt"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        readings = list(_readings(self._session))[:_CALLS]
        returns = _returns(messages)
        if readings and not returns:
            parts = [
                ToolCallPart(each.tool, each.arguments, tool_call_id=f"read-{place}")
                for place, each in enumerate(readings, start=1)
            ]
            return self._response(parts)
        return self._response([TextPart(_report(readings, returns))])

    def _response(self, parts: list[ToolCallPart] | list[TextPart]) -> ModelResponse:
        return ModelResponse(parts=parts, usage=RequestUsage(), model_name=REHEARSAL)


def _readings(session: Session) -> Iterator[_Reading]:
    offered = specs_of(session)
    for _, connection in sorted(session.connections.items()):
        yield from (each for each in _of_connection(session, connection) if each.tool in offered)
    if "read_event" in offered and event_data(session)[0]:
        yield _Reading("read_event", {}, "event")
    if "query_store" in offered:
        for name in sorted(session.context.snapshot.stores):
            arguments: dict[str, object] = {"store": name, "since": "all", "limit": 5}
            yield _Reading("query_store", arguments, f"store {name}")


def _of_connection(session: Session, connection: Connection) -> Iterator[_Reading]:
    name = connection.name
    if connection.protocol is Protocol.RUNTIME:
        since = iso(session.services.clock.now() - timedelta(days=1))
        yield _request(name, "/runs", {"since": since})
    elif connection.protocol is Protocol.REST and connection.test_path:
        yield _request(name, connection.test_path, None)
    elif connection.protocol is Protocol.REST:
        yield _Reading("read_connection", {"name": name}, f"{name} specification")
    else:
        server = session.servers.get(name)
        tools = [each for each in server.tools if _readable(each, connection)] if server else []
        for tool in tools[:_TOOLS_A_SERVER]:
            yield _Reading(f"{name}__{tool.name}", {}, f"{name} {tool.name}")


def _readable(tool: McpTool, connection: Connection) -> bool:
    return tool.reads(connection) and not required_of(tool.schema)


def _request(connection: str, path: str, params: dict[str, str | None] | None) -> _Reading:
    arguments: dict[str, object] = {"connection": connection, "method": "GET", "endpoint": path}
    if params:
        arguments["params"] = params
    return _Reading(REQUEST, arguments, f"{connection} GET {path}")


def _returns(messages: list[ModelMessage]) -> dict[str, str]:
    return {
        part.tool_call_id: str(part.content)
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    }


def _report(readings: list[_Reading], returns: dict[str, str]) -> str:
    if not readings:
        return f"{MARK} nothing to read: no connection, store or event is within reach"
    pairs = [
        (each, returns.get(f"read-{place}", "error: no answer"))
        for place, each in enumerate(readings, start=1)
    ]
    heads = ", ".join(f"{each.label} ({_gist(text)})" for each, text in pairs)
    quotes = [f"{each.label}:\n{_quoted(text)}" for each, text in pairs]
    return "\n\n".join([f"{MARK} read {heads}", *quotes])


def _gist(text: str) -> str:
    """`200, 12 rows` for a JSON list, the status or the refusal for the rest."""
    if text.startswith(("refused:", "error:")):
        failed = text.partition("\n")[0]
        return failed[:120]
    head, _, body = text.partition("\n\n")
    status = head.split()[1] if head.startswith("HTTP ") else ""
    rows = _rows(body if status else text.partition("\n")[2])
    return ", ".join(filter(None, (status, rows))) or "ok"


def _rows(body: str) -> str:
    try:
        document: object = json.loads(body)
    except ValueError:
        return ""
    count = count_of(document)
    return "" if count is None else f"{count} rows"


def _quoted(text: str) -> str:
    if len(text) <= QUOTED_CHARACTERS:
        return text
    return f"{text[:QUOTED_CHARACTERS]}\n(cut: {QUOTED_CHARACTERS:,} of {len(text):,} characters)"
