"""What a connection offers and whether it answers, for a person who asks."""

import json
from typing import Literal, TypedDict

from amodal_rt.clock import Clock
from amodal_rt.domain.connection import AccessRule, Connection, Intent, Protocol
from amodal_rt.errors import AmodalError
from amodal_rt.executors.agent.mcp_pool import McpPool
from amodal_rt.executors.agent.payload import count_of
from amodal_rt.executors.agent.request_tool import SECONDS, send
from amodal_rt.guardrails.egress import Egress
from amodal_rt.guardrails.endpoints import parse_endpoint
from amodal_rt.guardrails.redaction import Redactor
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.guardrails.writes import RestCall, judge, unknown
from amodal_rt.ports import Catalogue, RuntimeView

_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")


class OfferedTool(TypedDict):
    """One line of `ops connections tools`. `rule` is the line of access.json that decides."""

    name: str
    intent: Literal["read", "write", "unknown"]
    description: str
    rule: str | None


class ProbeResult(TypedDict):
    """The answer of `ops connections test`. `status` is an HTTP status where there is one."""

    ok: bool
    status: int | None
    detail: str


class ConnectionProbe:
    """Looks at connections with the secrets of the environment, as an agent would."""

    def __init__(
        self,
        *,
        pool: McpPool,
        egress: Egress,
        runtime_view: RuntimeView,
        catalogue: Catalogue,
        clock: Clock,
        redactor: Redactor,
    ) -> None:
        self._pool = pool
        self._egress = egress
        self._view = runtime_view
        self._catalogue = catalogue
        self._clock = clock
        self._redactor = redactor

    async def tools(self, connection: Connection) -> list[OfferedTool]:
        """What an agent may call, each as read, write or unknown.

        An MCP server is started for it: UnavailableError (`mcp_unavailable`) when it cannot be.
        Of a REST connection: its rules, and what holds for each method without one.
        """
        if connection.protocol is not Protocol.MCP:
            return _endpoints(connection)
        server = await self._pool.open(connection, self._catalogue.environment())
        offered: list[OfferedTool] = []
        for tool in server.tools:
            judged = tool.judged(connection)
            offered.append(
                OfferedTool(
                    name=tool.name,
                    intent="unknown" if unknown(judged) else judged.intent.value,
                    description=plain_line(tool.description, 300),
                    rule=_line(judged.rule),
                )
            )
        return offered

    async def test(self, connection: Connection) -> ProbeResult:
        """Ask once, reading only: `testPath`, the list of tools, the list of automations."""
        try:
            async with self._clock.deadline(SECONDS):
                return await self._test(connection)
        except TimeoutError:
            return ProbeResult(ok=False, status=None, detail=f"no answer in {SECONDS:g} seconds")
        except AmodalError as error:
            detail = self._redactor.mask(error.message)
            return ProbeResult(ok=False, status=None, detail=plain_line(detail, 300))

    async def _test(self, connection: Connection) -> ProbeResult:
        if connection.protocol is Protocol.MCP:
            count = len(await self.tools(connection))
            return ProbeResult(ok=True, status=None, detail=f"{count} tools")
        if connection.protocol is Protocol.RUNTIME:
            status, document = await self._view.get("/automations", {})
            size = f"{count_of(document)} automations"
            return ProbeResult(ok=status < 400, status=status, detail=size)
        endpoint = parse_endpoint(connection.test_path or "/")
        call = RestCall(method="GET", path=endpoint.path, params=endpoint.params)
        if judge(call, connection).intent is not Intent.READ:
            return ProbeResult(ok=False, status=None, detail="testPath is a write by access.json")
        environment = self._catalogue.environment()
        answer = await send(self._egress, connection, call, environment)
        raw = answer.facts.get("status")
        head = plain_line(self._redactor.mask(answer.text.partition("\n")[0]), 200)
        return ProbeResult(
            ok=answer.ok, status=raw if isinstance(raw, int) else None, detail=f"{head} {call.path}"
        )


def _endpoints(connection: Connection) -> list[OfferedTool]:
    offered = [
        OfferedTool(
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
            OfferedTool(
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
    }
    return json.dumps({rule.match: {name: value for name, value in said.items() if value}})
