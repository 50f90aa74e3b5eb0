"""Whether the gate of a good file can be asked: through which connection it reads."""

from collections.abc import Collection, Iterable, Mapping

from amodal_rt.domain.automation import Automation, Definition
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.problem import Problem

_POINTER = "/when/connection"


def gate_connection(automation: Automation) -> str | None:
    """The connection that `when` reads through, if it does."""
    gate = automation.gate
    return gate.read.connection if gate is not None and gate.read is not None else None


def gate_errors(
    definition: Definition, allowed: Collection[str] | None, connections: Mapping[str, Connection]
) -> Iterable[Problem]:
    """What keeps the gate from being asked; `allowed` are the connections granted, None for all."""
    gate = definition.automation.gate
    if gate is None or gate.read is None:
        return
    name = gate.read.connection
    connection = connections.get(name)
    if allowed is not None and name not in allowed:
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


def _problem(definition: Definition, code: str, message: str, hint: str) -> Problem:
    line = definition.lines.get(_POINTER)
    return Problem(file=definition.file, code=code, message=message, line=line, hint=hint)
