"""Whether the gate of a good file can be asked: through what it reads, and that it only reads."""

from collections.abc import Iterable, Mapping

from amodal_rt.domain.automation import Automation, Definition, GateRead
from amodal_rt.domain.connection import Agent, Connection, Protocol
from amodal_rt.domain.problem import Problem
from amodal_rt.errors import DeniedError
from amodal_rt.guardrails.calls import Call, RestCall, ToolCall
from amodal_rt.guardrails.endpoints import parse_endpoint
from amodal_rt.guardrails.grants import REQUEST, grants_of
from amodal_rt.guardrails.writes import READ_ONLY, decide, judge, unknown


def gate_connection(automation: Automation) -> str | None:
    """The connection that `when` reads through, if it does."""
    gate = automation.gate
    return gate.read.connection if gate is not None and gate.read is not None else None


def gate_errors(
    definition: Definition, agent: Agent | None, connections: Mapping[str, Connection]
) -> Iterable[Problem]:
    """What keeps the gate from being asked, as far as files can tell. `agent` is the file of the
    automation's agent, where there is one."""
    gate = definition.automation.gate
    if gate is None or gate.read is None:
        return
    name = gate.read.connection
    connection = connections.get(name)
    if not grants_of(definition.automation, agent).connection(name):
        message = f"when reads through {name!r}, which agents/{definition.automation.agent}.md "
        yield _problem(definition, "not_granted", message + "does not grant", "name it there too")
    elif connection is None:
        message = f"when reads through {name!r}, and there is no such connection"
        hint = f"add connections/{name}/spec.json, or mend it"
        yield _problem(definition, "unknown_connection", message, hint)
    elif (connection.protocol is Protocol.MCP) is not (gate.read.tool is not None):
        mcp = connection.protocol is Protocol.MCP
        message = f"when names {'an endpoint' if mcp else 'a tool'} of {name!r}, which is "
        message += f"{'an' if mcp else 'no'} MCP connection"
        hint = 'name its "tool"' if mcp else 'name an "endpoint" of it'
        yield _problem(definition, "bad_when", message, hint)
    else:
        yield from _tool_errors(definition, agent, gate.read)
        yield from _read_errors(definition, gate.read, connection)


def _tool_errors(definition: Definition, agent: Agent | None, read: GateRead) -> Iterable[Problem]:
    """A gate asks for nothing that the run itself may not."""
    tool = read.tool or REQUEST
    automation = definition.automation
    if grants_of(automation, agent).tool(read.connection, tool):
        return
    lists = definition.file if automation.tools is not None else f"agents/{automation.agent}.md"
    full = f"{read.connection}.{tool}"
    message = f"when calls {full}, which is not among the tools of {lists}"
    yield _problem(definition, "not_granted", message, f'add "{full}" to tools', _key(read))


def _read_errors(
    definition: Definition, read: GateRead, connection: Connection
) -> Iterable[Problem]:
    """What the connection's files call a write. A tool that only its server can speak for is
    judged when it is called, as every call is."""
    try:
        call = _call(read)
    except DeniedError as error:
        yield _problem(definition, "bad_when", f"when: {error.message}", error.hint, _key(read))
        return
    judged = judge(call, connection)
    if connection.trust_annotations and isinstance(call, ToolCall) and unknown(judged):
        return
    decision = decide(call, connection, READ_ONLY)
    if decision.allowed:
        return
    message = f"when only reads, and {call.label} of {connection.name} is a write ({judged.why})"
    hint = "name another that only reads"
    if unknown(judged):
        line = f'{{"tools": {{"{call.label}": {{"intent": "read"}}}}}}'
        hint = f"if it only reads, write {line} into connections/{connection.name}/access.json"
    yield _problem(definition, "not_a_read", message, hint, _key(read))


def _call(read: GateRead) -> Call:
    """The call as the gate would make it. Raises DeniedError."""
    if read.tool is not None:
        return ToolCall(tool=read.tool)
    endpoint = parse_endpoint(read.endpoint or "/")
    params = (*endpoint.params, *read.query.items())
    return RestCall(method="GET", path=endpoint.path, params=params)


def _key(read: GateRead) -> str:
    return "tool" if read.tool is not None else "endpoint"


def _problem(
    definition: Definition, code: str, message: str, hint: str | None, key: str = "connection"
) -> Problem:
    line = definition.lines.get(f"/when/{key}")
    return Problem(file=definition.file, code=code, message=message, line=line, hint=hint)
