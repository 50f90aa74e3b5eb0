"""Whether the gate and the checks of a good file can be asked: through what they read, and that
they only read."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from amodal_rt.domain.automation import Automation, Definition, GateRead
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.problem import Problem
from amodal_rt.errors import DeniedError
from amodal_rt.guardrails.calls import Call, RestCall, ToolCall
from amodal_rt.guardrails.endpoints import parse_endpoint
from amodal_rt.guardrails.grants import REQUEST, Grants
from amodal_rt.guardrails.writes import READ_ONLY, decide, judge, unknown


@dataclass(frozen=True, slots=True)
class _OwnRead:
    """A read that the file itself asks for, at `pointer`; `said` names it."""

    read: GateRead
    said: str
    pointer: str

    @property
    def bad(self) -> str:
        """The code of what is wrong with it and with nothing else."""
        return "bad_" + self.said.partition(".")[0]


def _own_reads(automation: Automation) -> Iterable[_OwnRead]:
    gate, expect = automation.gate, automation.expect
    if gate is not None and gate.read is not None:
        yield _OwnRead(gate.read, "when", "/when")
    if expect is not None and expect.probe is not None:
        yield _OwnRead(expect.probe.read, "expect.probe", "/expect/probe")


def read_connections(automation: Automation) -> frozenset[str]:
    """The connections that `when` and `expect` read through."""
    return frozenset(each.read.connection for each in _own_reads(automation))


def expect_errors(definition: Definition, stores: Collection[str]) -> Iterable[Problem]:
    """What `expect` asks for that no run can do."""
    expect = definition.automation.expect
    for place, name in enumerate(expect.stores if expect else ()):
        if name not in stores:
            line = definition.lines.get(f"/expect/stores/{place}")
            yield Problem(
                file=definition.file,
                code="unknown_store",
                message=f"expect.stores names {name!r}, and there is no such store",
                line=line or definition.lines.get("/expect/stores"),
                hint=f"add stores/{name}.json",
            )


def read_errors(
    definition: Definition, grants: Grants, connections: Mapping[str, Connection]
) -> Iterable[Problem]:
    """What keeps the gate and the probe from being asked, as far as files can tell. `grants` are
    the automation's."""
    for own in _own_reads(definition.automation):
        yield from _errors_of(definition, grants, connections, own)


def _errors_of(
    definition: Definition,
    grants: Grants,
    connections: Mapping[str, Connection],
    own: _OwnRead,
) -> Iterable[Problem]:
    name, said = own.read.connection, own.said
    connection = connections.get(name)
    if not grants.connection(name):
        automation = definition.automation
        lists = f"agents/{automation.agent}.md"
        lists += f" or the profile {automation.profile}" if automation.profile else ""
        message = f"{said} reads through {name!r}, which {lists} does not grant"
        hint = "name it there too"
        yield _problem(definition, own, "not_granted", message, hint)
    elif connection is None:
        message = f"{said} reads through {name!r}, and there is no such connection"
        hint = f"add connections/{name}/spec.json, or mend it"
        yield _problem(definition, own, "unknown_connection", message, hint)
    elif (connection.protocol is Protocol.MCP) is not (own.read.tool is not None):
        mcp = connection.protocol is Protocol.MCP
        message = f"{said} names {'an endpoint' if mcp else 'a tool'} of {name!r}, which is "
        message += f"{'an' if mcp else 'no'} MCP connection"
        hint = 'name its "tool"' if mcp else 'name an "endpoint" of it'
        yield _problem(definition, own, own.bad, message, hint)
    else:
        yield from _tool_errors(definition, grants, own)
        yield from _write_errors(definition, own, connection)


def _tool_errors(definition: Definition, grants: Grants, own: _OwnRead) -> Iterable[Problem]:
    """It asks for nothing that the run itself may not."""
    read = own.read
    tool = read.tool or REQUEST
    automation = definition.automation
    if grants.tool(read.connection, tool):
        return
    lists = definition.file if automation.tools is not None else f"agents/{automation.agent}.md"
    full = f"{read.connection}.{tool}"
    message = f"{own.said} calls {full}, which is not among the tools of {lists}"
    hint = f'add "{full}" to tools'
    yield _problem(definition, own, "not_granted", message, hint, _key(read))


def _write_errors(
    definition: Definition, own: _OwnRead, connection: Connection
) -> Iterable[Problem]:
    """What the connection's files call a write. A tool that only its server can speak for is
    judged when it is called, as every call is."""
    key = _key(own.read)
    try:
        call = _call(own.read)
    except DeniedError as error:
        yield _problem(definition, own, own.bad, f"{own.said}: {error.message}", error.hint, key)
        return
    judged = judge(call, connection)
    if connection.trust_annotations and isinstance(call, ToolCall) and unknown(judged):
        return
    decision = decide(call, connection, READ_ONLY)
    if decision.allowed:
        return
    message = (
        f"{own.said} only reads, and {call.label} of {connection.name} is a write ({judged.why})"
    )
    hint = "name another that only reads"
    if unknown(judged):
        line = f'{{"tools": {{"{call.label}": {{"intent": "read"}}}}}}'
        hint = f"if it only reads, write {line} into connections/{connection.name}/access.json"
    yield _problem(definition, own, "not_a_read", message, hint, key)


def _call(read: GateRead) -> Call:
    """The call as it would be made. Raises DeniedError."""
    if read.tool is not None:
        return ToolCall(tool=read.tool)
    endpoint = parse_endpoint(read.endpoint or "/")
    params = (*endpoint.params, *read.query.items())
    return RestCall(method="GET", path=endpoint.path, params=params)


def _key(read: GateRead) -> str:
    return "tool" if read.tool is not None else "endpoint"


def _problem(
    definition: Definition,
    own: _OwnRead,
    code: str,
    message: str,
    hint: str | None,
    key: str = "connection",
) -> Problem:
    line = definition.lines.get(f"{own.pointer}/{key}")
    return Problem(file=definition.file, code=code, message=message, line=line, hint=hint)
