"""Connections, agents and stores: what an agent may reach."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from amodal_rt.domain.secret import Text


class Protocol(StrEnum):
    """What a connection speaks."""

    REST = "rest"
    MCP = "mcp"
    RUNTIME = "runtime"


class AuthType(StrEnum):
    """How a REST connection proves itself."""

    BEARER = "bearer"
    HEADER = "header"
    BASIC = "basic"
    QUERY = "query"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionAuth:
    """`bearer`: `prefix` + token in `header`. `header`: the same with `prefix` default empty.
    `basic`: `username` and `password`, or token `user:password`. `query`: token in the
    parameter `parameter`.
    """

    type: AuthType = AuthType.NONE
    token: Text | None = None
    header: str = "Authorization"
    prefix: str = "Bearer"
    username: Text | None = None
    password: Text | None = None
    parameter: str | None = None


class Intent(StrEnum):
    """Whether a call changes the world behind a connection."""

    READ = "read"
    WRITE = "write"


class Confirm(StrEnum):
    """What a write needs besides `writeEnabled`: a person's approval, that of somebody other than
    who started the run (`review`), or more than there is: `never` refuses for good."""

    APPROVE = "approve"
    REVIEW = "review"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Threshold:
    """The number at `path` of a call may be `limit` and no more. The path begins with `params` or
    `data` of a request, and with an argument of a tool."""

    path: tuple[str, ...]
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRule:
    """One line of `access.json`: `match` is `METHOD /path/{id}` or a tool name glob.

    With `above`, `confirm` is of calls that pass one of these thresholds, or may. `external` says
    whether strangers may have written what such a call returns, None what the connection says.
    `reach` are globs of the hosts, recipients and accounts that a tainted run may name in such a
    call, besides those that stand in files.
    """

    match: str
    intent: Intent | None = None
    confirm: Confirm | None = None
    above: tuple[Threshold, ...] = ()
    reason: str | None = None
    external: bool | None = None
    reach: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`access.json`: what the connection's owner says about its endpoints and tools."""

    endpoints: tuple[AccessRule, ...] = ()
    tools: tuple[AccessRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """How to reach an MCP server: `command` over stdio, or `url` over streamable HTTP."""

    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, Text] = field(default_factory=dict[str, Text])
    url: Text | None = None
    headers: Mapping[str, Text] = field(default_factory=dict[str, Text])


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One folder of `connections/`. `surface` and `rules` are its Markdown, shown to agents.

    `secrets` names the environment variables that it needs; `hash` versions it. `account` is who
    it acts as at the other end (`github:acme-bot`): events that this account causes are our own.
    `external` says that strangers may have written what it returns.
    """

    name: str
    protocol: Protocol
    hash: str
    base_url: Text | None = None
    auth: ConnectionAuth = field(default_factory=ConnectionAuth)
    headers: Mapping[str, Text] = field(default_factory=dict[str, Text])
    test_path: str | None = None
    spec_url: str | None = None
    mcp: McpServer | None = None
    trust_annotations: bool = False
    external: bool = True
    access: Access = field(default_factory=Access)
    surface: str | None = None
    rules: str | None = None
    account: str | None = None
    secrets: tuple[str, ...] = ()
    document: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One file of `agents/`: who does the work, unless the automation says otherwise."""

    name: str
    hash: str
    instructions: str
    models: tuple[str, ...] = ()
    temperature: float | None = None
    tools: tuple[str, ...] | None = None
    connections: tuple[str, ...] | None = None
    max_turns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One file of `stores/`: a typed, queryable collection that outlives a run.

    `schema` is the JSON Schema (draft 2020-12) of a value; `ttl` None keeps for ever.
    """

    name: str
    hash: str
    description: str | None = None
    schema: Mapping[str, object] = field(default_factory=dict[str, object])
    ttl: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """One file of `knowledge/`: read by agents by name."""

    name: str
    title: str
    text: str
