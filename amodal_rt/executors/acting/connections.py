"""What a connection offers and whether it answers, for a person who asks."""

import json
from collections.abc import Mapping

from amodal_rt.domain.connection import AccessRule, Connection, Intent, Protocol
from amodal_rt.domain.filter import shown_path
from amodal_rt.errors import AmodalError, InvalidError
from amodal_rt.executors.acting.payload import count_of
from amodal_rt.executors.acting.request_tool import SECONDS, send
from amodal_rt.executors.acting.session import Services
from amodal_rt.guardrails.calls import RestCall
from amodal_rt.guardrails.endpoints import parse_endpoint
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.guardrails.writes import judge, unknown
from amodal_rt.ports import Caller, Catalogue

_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


class ConnectionProbe:
    """Looks at connections as a run would, with today's secrets."""

    def __init__(self, services: Services, catalogue: Catalogue) -> None:
        self._services = services
        self._catalogue = catalogue

    async def tools(self, connection: Connection) -> list[dict[str, object]]:
        """What an agent may call: `{name, intent, description, rule}`, `intent` being read, write
        or unknown, `rule` the line of access.json that decides; of a tool of an MCP server also
        `state`: seen, approved, or changed or new, which are off.

        An MCP server is started for it: UnavailableError (`mcp_unavailable`) when it cannot be.
        Of a REST connection: its rules, and what holds for each method without one.
        """
        if connection.protocol is not Protocol.MCP:
            return _endpoints(connection)
        server = await self._services.pool.open(connection, self._catalogue.environment())
        if server.opening.command is not None:
            # A child that lives may hang; one elsewhere was asked when it was opened.
            await server.ask_anew()
        await server.look_again()
        offered: list[dict[str, object]] = []
        for tool in server.offered:
            judged = tool.judged(connection)
            offered.append(
                dict[str, object](
                    name=tool.name,
                    intent="unknown" if unknown(judged) else judged.intent.value,
                    description=plain_line(tool.description, 300),
                    rule=_line(judged.rule),
                    state=server.standing.states[tool.name].value,
                )
            )
        return offered

    async def approve(
        self, connection: Connection, names: tuple[str, ...] | None, caller: Caller
    ) -> list[str]:
        """Let the tools that are off be called as they are now; their names. `names` None: all of
        them. Raises UnavailableError, NotFoundError, InvalidError (`not_mcp`)."""
        if connection.protocol is not Protocol.MCP:
            raise InvalidError(
                f"{connection.name} is no MCP connection",
                code="not_mcp",
                hint="what a REST connection may do stands in its access.json",
            )
        pool = self._services.pool
        server = await pool.open(connection, self._catalogue.environment())
        approved = await pool.pins.approve(server.opening, server.inner.tools, names, caller)
        await server.look_again()
        return approved

    def held(self) -> Mapping[str, tuple[str, ...]]:
        """By connection, the tools that are off until somebody approves them."""
        return self._services.pool.pins.held

    def failure(self, connection: Connection) -> str | None:
        """Why it was not available when it was last needed; None when it was, or when nobody
        can tell. Of MCP servers alone; its variables are set."""
        if connection.mcp is None:
            return None
        return self._services.pool.failure(connection, self._catalogue.environment())

    async def test(self, connection: Connection) -> dict[str, object]:
        """Ask once, reading only: `testPath`, the list of tools, the list of automations.

        `{ok, status, detail, hint}`; `status` is an HTTP status where there is one, `hint` what a
        person can do about a failure, where that is known. A redirect is no success: it is not
        followed, and who is sent to a page for signing in was not let in.
        """
        try:
            # Starting an MCP server has a bound of its own, whose passing is remembered.
            mcp = connection.protocol is Protocol.MCP
            async with self._services.clock.deadline(None if mcp else SECONDS):
                return await self._test(connection)
        except TimeoutError:
            return _found(False, f"no answer in {SECONDS:g} seconds", _reached_by(connection))
        except AmodalError as error:
            detail = self._services.redactor.mask(error.message)
            hint = error.hint or _reached_by(connection)
            return _found(False, plain_line(detail, 300), plain_line(hint, 300))

    async def _test(self, connection: Connection) -> dict[str, object]:
        if connection.protocol is Protocol.MCP:
            count = len(await self.tools(connection))
            return _found(True, f"{count} tools")
        if connection.protocol is Protocol.RUNTIME:
            status, document = await self._services.runtime_view.get("/automations", {})
            size = f"{count_of(document)} automations"
            return _found(status < 400, size, status=status)
        endpoint = parse_endpoint(connection.test_path or "/")
        call = RestCall(method="GET", path=endpoint.path, params=endpoint.params)
        if judge(call, connection).intent is not Intent.READ:
            hint = f"name a read as testPath in connections/{connection.name}/spec.json"
            return _found(False, "testPath is a write by access.json", hint)
        environment = self._catalogue.environment()
        answer = await send(self._services.egress, connection, call, environment)
        raw = answer.facts.get("status")
        status = raw if isinstance(raw, int) else None
        ok = status is not None and 200 <= status < 300
        hint = None if ok else _hint(connection, status)
        detail = self._services.redactor.mask(_told(answer.text, call.path))
        return _found(ok, plain_line(detail, 300), hint, status=status)


def _found(
    ok: bool, detail: str, hint: str | None = None, *, status: int | None = None
) -> dict[str, object]:
    return dict[str, object](ok=ok, status=status, detail=detail, hint=hint)


def _reached_by(connection: Connection) -> str:
    """Which lines say where the other end is."""
    if connection.mcp is None:
        key = "baseUrl"
    else:
        key = "url" if connection.mcp.url is not None else "command, args and env"
    return f"{key} in connections/{connection.name}/spec.json"


def _told(text: str, path: str) -> str:
    """The status and the kind of an answer, what was asked, and where else it points."""
    status, *headers = text.partition("\n\n")[0].split("\n")
    found = [each.partition(": ")[2] for each in headers if each.startswith("location: ")]
    return f"{status} {path}" + "".join(f", which leads to {each}" for each in found)


def _hint(connection: Connection, status: int | None) -> str | None:
    """What a person can do about an answer that is no success."""
    file = f"connections/{connection.name}/spec.json"
    if status is not None and 300 <= status < 400:
        return (
            f"redirects are not followed: auth in {file}, where it leads to a page for signing in, "
            "else the final address as baseUrl or testPath"
        )
    if status in (401, 403):
        held = ", ".join(connection.secrets)
        return f"auth in {file}" + (f", and what .env says of {held}" if held else "")
    if status in (404, 405):
        return f"testPath in {file}: a path that answers a GET"
    return None


def _endpoints(connection: Connection) -> list[dict[str, object]]:
    offered = [
        dict[str, object](
            name=rule.match,
            intent=(rule.intent or Intent.WRITE).value,
            description=plain_line(rule.reason or "", 300),
            rule=_line(rule),
        )
        for rule in connection.access.endpoints
    ]
    for method in _METHODS:
        intent = judge(RestCall(method=method, path="/"), connection).intent
        if connection.protocol is Protocol.RUNTIME and intent is Intent.WRITE:
            continue
        offered.append(
            dict[str, object](
                name=f"{method} *", intent=intent.value, description="any other path", rule=None
            )
        )
    return offered


def _line(rule: AccessRule | None) -> str | None:
    if rule is None:
        return None
    said = {
        "intent": rule.intent and rule.intent.value,
        "confirm": rule.confirm and rule.confirm.value,
        "above": {shown_path(each.path): each.limit for each in rule.above} or None,
    }
    return json.dumps({rule.match: {name: value for name, value in said.items() if value}})
