"""`propose_write`: a write that the agent itself wants a person to decide on."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from amodal_rt.domain.connection import Intent
from amodal_rt.errors import DeniedError, InvalidError
from amodal_rt.executors.acting.gate import Wish
from amodal_rt.executors.acting.mcp_opening import McpServer, McpTool
from amodal_rt.executors.acting.request_tool import Params, RequestArguments, prepare_request
from amodal_rt.executors.acting.session import Session
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.guardrails.writes import Verdict

PROPOSE = "propose_write"
WHY_CHARACTERS = 300

PrepareTool = Callable[[str, McpServer, McpTool, Session, Mapping[str, object]], Wish]


class ProposeArguments(BaseModel):
    """A request, or a call of an MCP tool."""

    model_config = ConfigDict(extra="forbid")

    connection: str = Field(description="the connection's name")
    why: str = Field(min_length=1, max_length=2_000, description="for the person who decides")
    method: str = Field(default="POST", description="of a request")
    endpoint: str | None = Field(default=None, description="of a request: path below the base URL")
    params: Params | None = Field(default=None, description="query parameters of a request")
    data: dict[str, object] | list[object] | str | None = Field(
        default=None, description="JSON body of a request, or text"
    )
    headers: dict[str, str] | None = Field(default=None, description="extra headers of a request")
    tool: str | None = Field(default=None, description="name of an MCP tool, instead of a request")
    arguments: dict[str, object] | None = Field(default=None, description="of the MCP tool")


def offered(session: Session) -> bool:
    """Whether a write could be proposed at all."""
    return session.powers.write_enabled or session.powers.proposes


def prepare_proposal(session: Session, given: ProposeArguments, of_tool: PrepareTool) -> Wish:
    """Judge the call as if it were made; what may be made waits for a person instead. Raises
    DeniedError, also for a read, and InvalidError."""
    wish = _judged(session, given, of_tool)
    decision = wish.decision
    if decision.intent is not Intent.WRITE:
        raise DeniedError(
            f"{wish.facts.get('request', given.tool)} only reads ({decision.reason})",
            code="not_a_write",
            hint="make the call itself",
        )
    if decision.verdict is Verdict.DENY:
        return wish
    said = f"the agent asks, and says: {plain_line(given.why, WHY_CHARACTERS)}"
    reason = said if decision.allowed else f"{decision.reason}; {said}"
    return replace(wish, decision=replace(decision, verdict=Verdict.PARK, reason=reason))


def _judged(session: Session, given: ProposeArguments, of_tool: PrepareTool) -> Wish:
    if given.tool is None and given.endpoint is None:
        raise InvalidError("name the endpoint of a request, or the tool")
    if given.tool is None:
        fields = given.model_dump(exclude={"why", "tool", "arguments"}, exclude_none=True)
        return prepare_request(session, RequestArguments.model_validate(fields))
    server = session.servers.get(given.connection)
    tools = server.tools if server else ()
    found = next((each for each in tools if each.name == given.tool), None)
    if server is None or found is None:
        raise DeniedError(f"{given.connection} has no tool {session.mask(given.tool)[:60]!r} here")
    return of_tool(given.connection, server, found, session, given.arguments or {})
