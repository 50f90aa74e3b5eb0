"""The runtime's own tools, beside `request` and what MCP servers bring."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field

from amodal_rt.domain.connection import Intent, Protocol
from amodal_rt.domain.profile import BASH
from amodal_rt.errors import DeniedError, NotFoundError
from amodal_rt.executors.acting import bash_tool
from amodal_rt.executors.acting.bash_tool import BashArguments, prepare_bash
from amodal_rt.executors.acting.emit_tool import EMIT, EmitArguments, prepare_emit
from amodal_rt.executors.acting.emit_tool import offered as emitting
from amodal_rt.executors.acting.gate import RESULT_CHARACTERS, Answer, CallKey, Wish, allowed
from amodal_rt.executors.acting.mcp_opening import McpServer, McpTool
from amodal_rt.executors.acting.parking import Parking, surface_of
from amodal_rt.executors.acting.propose_tool import PROPOSE, ProposeArguments, prepare_proposal
from amodal_rt.executors.acting.propose_tool import offered as proposing
from amodal_rt.executors.acting.request_tool import (
    RequestArguments,
    find_connection,
    prepare_request,
)
from amodal_rt.executors.acting.session import Session, event_data
from amodal_rt.executors.acting.store_tools import (
    QueryArguments,
    WriteArguments,
    prepare_query,
    prepare_write,
)
from amodal_rt.executors.acting.tainting import READ_EVENT, check_aims
from amodal_rt.guardrails.calls import ToolCall
from amodal_rt.guardrails.grants import BUILT_IN, REQUEST
from amodal_rt.guardrails.untrusted import event_text
from amodal_rt.guardrails.writes import Verdict, decide

MCP_SECONDS = 60.0
"""How long one call of an MCP tool may take."""
DISPATCH = "dispatch_task"

Arguments = TypeVar("Arguments", bound=BaseModel)
Prepare = Callable[[Session, Mapping[str, object]], Wish]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A tool as a model sees it, and how to judge a call of it."""

    name: str
    description: str
    schema: Mapping[str, object]
    prepare: Prepare


class NamedArguments(BaseModel):
    """One thing by name."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="its name")


class ReadEventArguments(BaseModel):
    """A piece of the event's data."""

    model_config = ConfigDict(extra="forbid")

    offset: int = Field(default=0, ge=0, description="first character")
    limit: int = Field(
        default=RESULT_CHARACTERS, ge=1, le=RESULT_CHARACTERS, description="characters"
    )


class DispatchArguments(BaseModel):
    """A task for a sub-agent."""

    model_config = ConfigDict(extra="forbid")

    task: str = Field(
        min_length=1, max_length=100_000, description="everything that the sub-agent must know"
    )
    tools: list[str] | None = Field(
        default=None, description="narrow its tools: names or connection.tool globs"
    )


def specs_of(session: Session) -> dict[str, ToolSpec]:
    """Every tool that the session offers, by the name that the model uses.

    `dispatch_task` is left to the loop, which alone can start an agent.
    """
    return {spec.name: spec for spec in (*_built_in(session), *_mcp(session))}


def dispatch_offered(session: Session) -> bool:
    """Whether the session may start sub-agents: one level deep and no further."""
    return session.parent is None and session.grants.built_in(DISPATCH, BUILT_IN)


def _built_in(session: Session) -> Iterator[ToolSpec]:
    snapshot = session.context.snapshot
    names = [
        each.name for each in session.connections.values() if each.protocol is not Protocol.MCP
    ]
    offered = {
        REQUEST: any(session.grants.tool(name, REQUEST) for name in names),
        "read_connection": bool(session.connections),
        "query_store": bool(snapshot.stores),
        "write_store": bool(snapshot.stores),
        "read_knowledge": bool(snapshot.knowledge),
        "read_event": event_data(session)[0],
        EMIT: emitting(session),
        PROPOSE: proposing(session),
    }
    specs, profile = _specs(), bash_tool.offered(session)
    if profile is not None:
        offered[BASH] = True
        specs += (replace(_bash(), description=bash_tool.describe(profile)),)
    for spec in specs:
        wanted = spec.name == REQUEST or session.grants.built_in(spec.name, BUILT_IN)
        if offered[spec.name] and wanted:
            yield spec


@lru_cache(maxsize=1)
def _specs() -> tuple[ToolSpec, ...]:
    return (
        _spec(
            REQUEST,
            "Send one HTTP request over a connection. Reads are allowed; anything that changes "
            "data needs the automation's permission.",
            RequestArguments,
            prepare_request,
        ),
        _spec(
            "read_connection",
            "Read a connection's specification, surface and rules.",
            NamedArguments,
            _read_connection,
        ),
        _spec(
            "query_store",
            "Read values of a store, newest first. `since` defaults to the last run's time; "
            'give "all" for everything.',
            QueryArguments,
            prepare_query,
        ),
        _spec("write_store", "Keep a value in a store, by key.", WriteArguments, prepare_write),
        _spec("read_knowledge", "Read a knowledge page.", NamedArguments, _read_knowledge),
        _spec(
            READ_EVENT,
            "Read the event's whole data (untrusted text), from `offset` on.",
            ReadEventArguments,
            _read_event,
        ),
        _spec(
            EMIT,
            "Say that something happened, so that automations which wait for it start.",
            EmitArguments,
            prepare_emit,
        ),
        _spec(
            PROPOSE,
            "Have a person decide on a write: say the whole call and why. The call is kept, and "
            "your run ends when this turn is done.",
            ProposeArguments,
            _propose,
        ),
    )


@lru_cache(maxsize=1)
def _bash() -> ToolSpec:
    return _spec(BASH, "Run a bash command line.", BashArguments, prepare_bash)


def _spec(
    name: str,
    description: str,
    arguments: type[Arguments],
    prepare: Callable[[Session, Arguments], Wish],
) -> ToolSpec:
    def validated(session: Session, given: Mapping[str, object]) -> Wish:
        return prepare(session, arguments.model_validate(given))

    return ToolSpec(
        name=name, description=description, schema=schema_of(arguments), prepare=validated
    )


def schema_of(arguments: type[BaseModel]) -> dict[str, Any]:
    """The arguments' JSON Schema without what tells a model nothing: titles, null defaults and
    the null of an optional field. Each request pays for every word of it."""
    schema: dict[str, Any] = _compact(arguments.model_json_schema())
    schema.pop("description", None)
    return schema


def _compact(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_compact(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    fields = dict(cast("dict[str, Any]", schema))
    if isinstance(fields.get("title"), str):
        del fields["title"]
    if fields.get("default", 0) is None:
        del fields["default"]
    choices: list[Any] = fields.get("anyOf", [])
    if {"type": "null"} in choices:
        choices = [each for each in choices if each != {"type": "null"}]
        fields["anyOf"] = choices
    if len(choices) == 1:
        fields |= fields.pop("anyOf")[0]
    return {name: _compact(each) for name, each in fields.items()}


def _propose(session: Session, given: ProposeArguments) -> Wish:
    return prepare_proposal(session, given, prepare_mcp)


def _read_connection(session: Session, given: NamedArguments) -> Wish:
    connection = find_connection(session, given.name)
    parts = [f"spec:\n{connection.document}"]
    if connection.surface:
        parts.append(f"surface:\n{connection.surface}")
    if connection.rules:
        parts.append(f"rules:\n{connection.rules}")
    server = session.servers.get(connection.name)
    if server is not None:
        parts.append("tools:\n" + "\n".join(tool.name for tool in server.tools))
    return _told("\n\n".join(parts))


def _read_knowledge(session: Session, given: NamedArguments) -> Wish:
    page = session.context.snapshot.knowledge.get(given.name)
    if page is None:
        known = ", ".join(sorted(session.context.snapshot.knowledge)) or "none"
        raise NotFoundError(
            f"there is no knowledge page {given.name[:60]!r}", hint=f"known: {known}"
        )
    return _told(f"{page.title}\n\n{page.text}")


def _read_event(session: Session, given: ReadEventArguments) -> Wish:
    present, data = event_data(session)
    if not present:
        raise NotFoundError("this run has no event data")
    # Masked before it is cut: the half of a secret would not be recognised.
    text = session.mask(event_text(data))
    end = given.offset + given.limit
    rest = f"\n(characters {given.offset}–{min(end, len(text))} of {len(text)})"
    return _told(text[given.offset : end] + rest)


def _told(text: str) -> Wish:
    async def perform(_key: CallKey) -> Answer:
        return Answer(text=text)

    return Wish(decision=allowed(), perform=perform)


def _mcp(session: Session) -> Iterator[ToolSpec]:
    taken: set[str] = set()
    for connection_name, server in sorted(session.servers.items()):
        connection = session.connections.get(connection_name)
        if connection is None:
            continue
        for tool in server.tools:
            if not session.grants.tool(connection_name, tool.name):
                continue
            name = _tool_name(connection_name, tool.name, taken)
            taken.add(name)
            what = "read" if tool.reads(connection) else "write"
            yield ToolSpec(
                name=name,
                description=session.mask(f"[{what}] {tool.description}".strip()),
                schema=tool.schema or {"type": "object", "properties": {}},
                prepare=partial(prepare_mcp, connection_name, server, tool),
            )


def prepare_mcp(
    connection_name: str,
    server: McpServer,
    tool: McpTool,
    session: Session,
    arguments: Mapping[str, object],
) -> Wish:
    """Judge a call of a tool of an MCP server. Raises DeniedError."""
    connection = find_connection(session, connection_name)
    if not session.grants.tool(connection_name, tool.name):
        raise DeniedError(f"{connection_name}.{tool.name} is not among the allowed tools")
    call = ToolCall(tool=tool.name, read_only_hint=tool.read_only_hint, arguments=arguments)
    decision = decide(call, connection, session.powers)
    if decision.verdict is not Verdict.DENY:
        check_aims(session, connection, call, decision.intent, arguments)
    parking = None
    if decision.intent is Intent.WRITE and decision.verdict is not Verdict.DENY:
        kept = {"connection": connection_name, "tool": tool.name, "arguments": dict(arguments)}
        surface = surface_of(connection, session.context.environment)
        parking = Parking(call=kept, label=call.label, surface=surface)

    async def perform(key: CallKey) -> Answer:
        writing = None if tool.reads(connection) else key.idempotency_key
        cause = session.services.causes.token(session.cause)
        answer = await server.call(tool.name, arguments, key=writing, cause=cause)
        return Answer(text=answer.text, ok=answer.ok)

    return Wish(
        decision=decision,
        perform=perform,
        seconds=MCP_SECONDS,
        facts={
            "connection": connection_name,
            "mcp_tool": tool.name,
            "intent": decision.intent.value,
            "rule": decision.rule,
        },
        parking=parking,
    )


def _tool_name(connection: str, tool: str, taken: set[str]) -> str:
    """`<connection>__<tool>` in the characters and length that every provider accepts."""
    plain = "".join(
        each if each.isascii() and (each.isalnum() or each in "_-") else "_" for each in tool
    )
    name = f"{connection}__{plain}"[:64]
    count = 2
    while name in taken:
        name = f"{name[:60]}_{count}"
        count += 1
    return name


def required_of(schema: Mapping[str, object]) -> list[str]:
    """Names of the arguments that a tool cannot do without."""
    required = schema.get("required")
    return [str(each) for each in cast("list[Any]", required)] if isinstance(required, list) else []
