"""The trigger binding of MCP servers: `TRIGGER_LIST` and `TRIGGER_CONFIGURE`.

A server over stdio is the one that runs share: it watches for as long as its process lives. A
server over HTTP gets a session for each call, with a header that real servers ask for: an
unsigned JWT that names a connection. They keep one callback for each such connection, so every
trigger has a connection name of its own there.
"""

import base64
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import cast

from amodal_rt.clock import Clock
from amodal_rt.definitions.words import suggestion
from amodal_rt.domain.connection import Confirm, Connection
from amodal_rt.domain.remote_trigger import RemoteType
from amodal_rt.errors import AmodalError, ConflictError, NotFoundError, UnavailableError
from amodal_rt.executors.acting.mcp_opening import McpAnswer, McpServer, McpTool
from amodal_rt.executors.acting.mcp_pool import McpPool
from amodal_rt.failpoints import hit
from amodal_rt.guardrails.redaction import Redactor
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.ports import Catalogue

LIST, CONFIGURE = "TRIGGER_LIST", "TRIGGER_CONFIGURE"
SECONDS = 5.0
"""How long a server may take to answer."""
MESH_HEADER = "x-mesh-token"
"""Where servers of deco look for the connection that asks; they do not check its signature."""
MOST_TYPES = 500

_NOTHING = ""


class McpTriggers:
    """Implements `ports.TriggerConnections` over the pool of MCP servers."""

    def __init__(
        self, pool: McpPool, catalogue: Catalogue, *, clock: Clock, redactor: Redactor
    ) -> None:
        self._pool = pool
        self._catalogue = catalogue
        self._clock = clock
        self._redactor = redactor

    async def list_types(self, connection: Connection) -> list[RemoteType]:
        """As `TriggerConnections.list_types`."""
        async with self._session(connection, connection.name) as server:
            _require(server, connection, LIST)
            try:
                answer = await self._ask(server, LIST, {})
            except TimeoutError:
                raise UnavailableError(
                    f"the MCP server of {connection.name} did not answer {LIST} in time",
                    code="mcp_unavailable",
                ) from None
        if not answer.ok:
            raise UnavailableError(self._said(connection, LIST, answer), code="mcp_unavailable")
        return _types(answer.text, connection)

    async def configure(
        self,
        connection: Connection,
        *,
        watcher: str,
        type: str,
        params: Mapping[str, str],
        callback: tuple[str, str] | None,
    ) -> str | None:
        """As `TriggerConnections.configure`."""
        arguments: dict[str, object] = {
            "type": type,
            "params": dict(params),
            "enabled": callback is not None,
        }
        if callback is not None:
            arguments |= {"callbackUrl": callback[0], "callbackToken": callback[1]}
        async with self._session(connection, watcher) as server:
            tool = _require(server, connection, CONFIGURE)
            _permit(tool, connection)
            remark = await self._checked(server, connection, type, params) if callback else None
            hit("trigger.before_configure")
            answer = await self._ask(server, CONFIGURE, arguments)
            hit("trigger.after_configure")
        if not answer.ok or _object(answer.text).get("success") is not True:
            # What a server says of a call that it refuses may repeat what it was called with.
            secret = callback[1] if callback else _NOTHING
            raise ConflictError(
                self._said(connection, f"{CONFIGURE} for {type}", answer, secret),
                code="trigger_refused",
                hint=f"ops events types --source {connection.name} lists what it watches for",
            )
        return remark

    async def _checked(
        self, server: McpServer, connection: Connection, type: str, params: Mapping[str, str]
    ) -> str | None:
        """What of it the server's own list does not know. Raises ConflictError
        (`trigger_unknown`): many servers say yes to anything, and then it never happens."""
        offered = await self._offered(server, connection)
        if offered is None:
            return None
        found = offered.get(type)
        if found is None:
            known = ", ".join(sorted(offered)) or "nothing"
            raise ConflictError(
                f"the MCP server of {connection.name} has no trigger {type}: it lists {known}",
                code="trigger_unknown",
                hint=suggestion(type, offered),
            )
        if fault := found.find_fault(params):
            raise ConflictError(
                f"the MCP server of {connection.name} never reports this {type}: {fault}",
                code="trigger_unknown",
            )
        unknown = found.unknown(params)
        if not unknown:
            return None
        known = ", ".join(sorted(found.params)) or "none"
        return (
            f"the MCP server of {connection.name} knows no params {', '.join(unknown)} of {type} "
            f"(it knows {known}): only what it reports is compared with them"
        )

    async def _offered(
        self, server: McpServer, connection: Connection
    ) -> Mapping[str, RemoteType] | None:
        """What the server lists, by name; None where that cannot be had."""
        if all(each.name != LIST for each in server.tools):
            return None
        try:
            answer = await self._ask(server, LIST, {})
            types = _types(answer.text, connection) if answer.ok else None
        except (TimeoutError, UnavailableError):
            return None
        return None if types is None else {each.type: each for each in types}

    def life(self, connection: Connection) -> str | None:
        """As `TriggerConnections.life`."""
        born = self._pool.life(connection.name)
        return None if born is None else str(born)

    async def visit(self, connection: Connection) -> str | None:
        """As `TriggerConnections.visit`."""
        if connection.mcp is None or connection.mcp.command is not None:
            return None
        environment = self._catalogue.environment()
        try:
            server = await self._pool.open(connection, environment, anew=False)
        except AmodalError as error:
            return plain_line(self._redactor.mask(error.message), 300)
        server.watch()
        return None

    def end_is_seen(self, connection: Connection) -> bool:
        """As `TriggerConnections.end_is_seen`."""
        return self._pool.end_is_seen(connection.name)

    @asynccontextmanager
    async def _session(self, connection: Connection, watcher: str) -> AsyncGenerator[McpServer]:
        environment = self._catalogue.environment()
        if connection.mcp is not None and connection.mcp.command is not None:
            yield await self._pool.open(connection, environment)
            return
        headers = {MESH_HEADER: mesh_token(watcher)}
        server = await self._pool.open_apart(connection, environment, headers=headers)
        try:
            yield server
        finally:
            await server.close()

    async def _ask(
        self, server: McpServer, tool: str, arguments: Mapping[str, object]
    ) -> McpAnswer:
        """Call within the deadline. Raises TimeoutError where nobody can say what became of it."""
        async with self._clock.deadline(SECONDS):
            try:
                return await server.call(tool, arguments)
            except UnavailableError as error:
                raise TimeoutError(error.message) from None

    def _said(
        self, connection: Connection, asked: str, answer: McpAnswer, secret: str = _NOTHING
    ) -> str:
        text = answer.text.replace(secret, "(token)") if secret else answer.text
        said = plain_line(self._redactor.mask(text), 300) or "nothing"
        return f"the MCP server of {connection.name} refused {asked}: it said {said}"


def mesh_token(connection_id: str) -> str:
    """An unsigned JWT that names a connection in both places where servers look."""
    claims = {"connectionId": connection_id, "metadata": {"connectionId": connection_id}}
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."


def _part(value: object) -> str:
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode("ascii").rstrip("=")


def _require(server: McpServer, connection: Connection, name: str) -> McpTool:
    for tool in server.tools:
        if tool.name == name:
            return tool
    raise NotFoundError(
        f"the MCP server of {connection.name} watches for nothing: it has no tool {name}",
        code="no_triggers",
        hint="its events can come through POST /events or a webhook instead",
    )


def _permit(tool: McpTool, connection: Connection) -> None:
    """A file that names a trigger asks for it; the connection's owner may still say never."""
    rule = tool.judged(connection).rule
    if rule is not None and rule.confirm is Confirm.NEVER:
        raise ConflictError(
            f"connections/{connection.name}/access.json says never to {rule.match}",
            code="trigger_refused",
        )


def _types(text: str, connection: Connection) -> list[RemoteType]:
    listed = _object(text).get("triggers")
    if not isinstance(listed, list):
        raise UnavailableError(
            f"the MCP server of {connection.name} answered {LIST} without a list of triggers",
            code="mcp_unavailable",
        )
    found: list[RemoteType] = []
    for each in cast("list[object]", listed)[:MOST_TYPES]:
        fields = cast("dict[str, object]", each) if isinstance(each, dict) else {}
        name, params = fields.get("type"), fields.get("paramsSchema")
        if not isinstance(name, str) or not name:
            continue
        found.append(
            RemoteType(
                type=name,
                description=plain_line(str(fields.get("description") or ""), 300),
                params=cast("dict[str, object]", params) if isinstance(params, dict) else {},
            )
        )
    return found


def _object(text: str) -> dict[str, object]:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", parsed) if isinstance(parsed, dict) else {}
