"""An MCP server as the rest of the room sees it: how to reach one, what it offers."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from amodal_rt.domain.connection import Connection, Intent
from amodal_rt.domain.secret import SecretRef, Text
from amodal_rt.errors import UnavailableError
from amodal_rt.guardrails.calls import ToolCall
from amodal_rt.guardrails.writes import Judgement, judge
from amodal_rt.settings import Environment

DESCRIPTION_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class McpTool:
    """A tool as its server describes it: untrusted text."""

    name: str
    description: str = ""
    schema: Mapping[str, object] = field(default_factory=dict[str, object])
    read_only_hint: bool | None = None
    digest: str = ""
    """Of all that the server says of it, also of what is cut off here."""

    def judged(self, connection: Connection) -> Judgement:
        """What the tool is, by the connection's rules."""
        return judge(ToolCall(tool=self.name, read_only_hint=self.read_only_hint), connection)

    def reads(self, connection: Connection) -> bool:
        """Whether every call of it is a read."""
        judged = self.judged(connection)
        return judged.intent is Intent.READ and not (judged.rule and judged.rule.confirm)


@dataclass(frozen=True, slots=True, kw_only=True)
class McpAnswer:
    """A tool's answer as text."""

    text: str
    ok: bool


class McpServer(Protocol):
    """One server that is up. Calls may run side by side."""

    @property
    def alive(self) -> bool:
        """Whether it can still be called."""
        ...

    @property
    def tools(self) -> tuple[McpTool, ...]:
        """As listed last."""
        ...

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, object],
        *,
        key: str | None = None,
        cause: str | None = None,
    ) -> McpAnswer:
        """Call a tool; `key` is sent along as an idempotency key, `cause` tells a server on
        this machine which run asks. Raises UnavailableError when the server is gone."""
        ...

    async def ask_anew(self) -> None:
        """List its tools again. Raises UnavailableError where it does not answer, or is not the
        one that was opened any more: then it is of no use to whoever comes next."""
        ...

    @property
    def end_is_seen(self) -> bool:
        """Whether `ask_anew` would tell that it was started anew since it was opened."""
        ...

    def watch(self) -> None:
        """Have its end seen where its protocol offers a way; more than once is once."""
        ...

    async def close(self) -> None:
        """End it; nothing of it stays behind."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How to reach a server, secrets filled in. Never logged or stored. `own`: `url` is this
    runtime's. `folder` is where `command` starts."""

    name: str
    command: str | None
    args: tuple[str, ...]
    env: Mapping[str, str]
    url: str | None
    headers: Mapping[str, str]
    own: bool = False
    folder: Path | None = None

    @property
    def key(self) -> str:
        """Equal exactly for servers that can stand in for each other."""
        parts = (
            self.name, self.command, self.args, sorted(self.env.items()), self.url,
            sorted(self.headers.items()), self.own, self.folder,
        )  # fmt: skip
        return hashlib.sha256(repr(parts).encode()).hexdigest()


def opening_of(connection: Connection, environment: Environment) -> Opening:
    """The connection's server with its secrets. Raises UnavailableError (`env_missing`)."""
    server = connection.mcp
    if server is None:
        raise UnavailableError(f"{connection.name} is not an MCP connection")

    def value(text: Text) -> str:
        return environment.get(text.name) if isinstance(text, SecretRef) else text

    return Opening(
        name=connection.name,
        command=server.command,
        args=server.args,
        env=scrubbed(environment) | {name: value(text) for name, text in server.env.items()},
        url=value(server.url) if server.url is not None else None,
        headers={name: value(text) for name, text in server.headers.items()},
    )


def scrubbed(environment: Environment) -> dict[str, str]:
    """What every child may know of our environment: where programs and its home are."""
    names = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL")
    return {name: environment.process[name] for name in names if name in environment.process}
