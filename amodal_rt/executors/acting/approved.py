"""An approved write, judged again by what the files say now, and how it is made."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import ValidationError

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.filter import Path
from amodal_rt.domain.parked import ParkedWrite
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.errors import AmodalError, DeniedError, NotFoundError
from amodal_rt.executors.acting.gate import Answer, CallKey
from amodal_rt.executors.acting.parking import surface_of
from amodal_rt.executors.acting.request_tool import (
    SECONDS,
    RequestArguments,
    check_reach,
    checked_call,
    send,
)
from amodal_rt.executors.acting.session import Services
from amodal_rt.executors.acting.tools import MCP_SECONDS
from amodal_rt.guardrails.calls import Call, RestCall, ToolCall
from amodal_rt.guardrails.endpoints import check_method
from amodal_rt.guardrails.grants import REQUEST, grants_of
from amodal_rt.guardrails.write_grants import Refused, find_grant
from amodal_rt.guardrails.writes import Verdict, decide, powers_of
from amodal_rt.settings import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A call that may leave: `perform` makes it, within `seconds`; `label` is it in a few words."""

    perform: Callable[[], Awaitable[Answer]]
    seconds: float
    label: str


class Approved:
    """Looks at one parked write with the files as they are."""

    def __init__(
        self, write: ParkedWrite, services: Services, snapshot: Snapshot, environment: Environment
    ) -> None:
        self._write = write
        self._services = services
        self._snapshot = snapshot
        self._environment = environment

    async def prepare(self) -> Ready:
        """How the call is made now. Raises DeniedError, NotFoundError or InvalidError for why it
        may not be any more, naming what changed; UnavailableError for what may pass."""
        definition = self._snapshot.find(self._write.automation)
        if definition is None:
            raise NotFoundError(f"{self._write.automation} is gone, or cannot run any more")
        connection = self._connection(definition)
        if connection.protocol is Protocol.MCP:
            return await self._tool(connection, definition)
        return self._request(connection, definition)

    def pinned(self) -> Mapping[Path, str]:
        """The fields of the call that the line of `writes` which covers it holds to a value, by
        their path in it, each with the place of that line; of a call that none covers, none."""
        definition = self._snapshot.find(self._write.automation)
        connection = self._snapshot.connections.get(self._write.connection)
        if definition is None or connection is None:
            return {}
        powers = powers_of(definition)
        try:
            call = self._call(connection, read_only_hint=None)
        except AmodalError:
            return {}
        found = find_grant(call, connection.name, powers.grants or ())
        if isinstance(found, Refused):
            return {}
        above = ("arguments",) if isinstance(call, ToolCall) else ()
        pins = (powers.grants or ())[found.index].pins
        return {(*above, *pin.path): powers.grant_places[found.index] for pin in pins}

    def _connection(self, definition: Definition) -> Connection:
        name = self._write.connection
        connection = self._snapshot.connections.get(name)
        if connection is None:
            raise NotFoundError(f"the connection {name} is gone")
        missing = self._environment.missing(connection.secrets)
        if missing:
            raise DeniedError(f"the environment variable {missing[0]} is not set")
        if surface_of(connection, self._environment) != self._write.surface:
            raise DeniedError(
                f"connections/{name}/spec.json has changed since this was parked, or a URL that it "
                "takes from the environment: it may lead elsewhere, or as somebody else",
                code="connection_changed",
                hint=f"start {self._write.automation} again, for a write as things are now",
            )
        agent = self._snapshot.agents.get(definition.automation.agent)
        tool = str(self._write.call.get("tool", REQUEST))
        profile = self._snapshot.profile_of(definition.automation)
        grants = grants_of(definition.automation, agent, profile)
        if not (grants.connection(name) and grants.tool(name, tool)):
            raise DeniedError(
                f"{self._changed(definition)}{name}.{tool} is not among what it may use any more"
            )
        return connection

    def _call(self, connection: Connection, *, read_only_hint: bool | None) -> Call:
        """What is to be judged. Raises DeniedError (`bad_call`) for a call that is none."""
        if connection.protocol is Protocol.MCP:
            return ToolCall(
                tool=self._tool_name, read_only_hint=read_only_hint, arguments=self._arguments
            )
        return self._rest_call(connection)

    def _rest_call(self, connection: Connection) -> RestCall:
        try:
            given = RequestArguments.model_validate(self._write.call)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise DeniedError(
                f"the call is none: {place}: {first['msg']}", code="bad_call"
            ) from None
        return checked_call(given, check_method(given.method), connection)

    def _request(self, connection: Connection, definition: Definition) -> Ready:
        call = self._rest_call(connection)
        self._judge(call, connection, definition)
        services, environment = self._services, self._environment
        check_reach(services.egress, connection, call, environment)

        async def perform() -> Answer:
            return await send(
                services.egress,
                connection,
                call,
                environment,
                key=self._key,
                marks=lambda url: services.causes.headers(url, self._cause),
            )

        return Ready(perform=perform, seconds=SECONDS, label=call.label)

    async def _tool(self, connection: Connection, definition: Definition) -> Ready:
        name, arguments = self._tool_name, self._arguments
        pool, depth = self._services.pool, self._write.depth
        server = await pool.open(connection, self._environment, depth=depth)
        server.require(name)
        tool = next((each for each in server.tools if each.name == name), None)
        if tool is None:
            raise NotFoundError(f"the server of {connection.name} has no tool {name[:60]} any more")
        call = self._call(connection, read_only_hint=tool.read_only_hint)
        self._judge(call, connection, definition)

        async def perform() -> Answer:
            cause = self._services.causes.token(self._cause)
            key = self._key.idempotency_key
            answer = await server.call(name, arguments, key=key, cause=cause)
            return Answer(text=answer.text, ok=answer.ok)

        return Ready(perform=perform, seconds=MCP_SECONDS, label=call.label)

    @property
    def _tool_name(self) -> str:
        return str(self._write.call.get("tool", ""))

    @property
    def _arguments(self) -> Mapping[str, object]:
        return cast("Mapping[str, object]", self._write.call.get("arguments") or {})

    @property
    def _key(self) -> CallKey:
        return CallKey(step=self._write.step, idempotency_key=self._write.write_id)

    @property
    def _cause(self) -> Cause:
        return Cause(depth=self._write.depth, run_id=self._write.run_id)

    def _judge(self, call: Call, connection: Connection, definition: Definition) -> None:
        """Raise DeniedError where the files forbid now what they left to a person then."""
        decision = decide(call, connection, powers_of(definition))
        if decision.verdict is Verdict.DENY:
            raise DeniedError(f"{self._changed(definition)}{decision.reason}", code=decision.rule)

    def _changed(self, definition: Definition) -> str:
        same = definition.hash == self._write.definition
        return "" if same else f"{definition.file} has changed since this was parked: "
