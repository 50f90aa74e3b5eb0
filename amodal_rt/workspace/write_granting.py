"""Whether the lines of `writes` can ever cover a call: that their connections are there, may be
used and speak what the line speaks."""

from collections.abc import Collection, Iterator, Mapping

from amodal_rt.domain.automation import Definition, WriteGrant
from amodal_rt.domain.connection import Connection, Protocol
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workspace import WorkspaceSettings
from amodal_rt.guardrails.grants import Grants


def write_errors(
    definition: Definition,
    granted: Grants,
    connections: Mapping[str, Connection],
    broken: Collection[str],
) -> Iterator[Problem]:
    """What is wrong with the lines. `granted` is what it may use at all; a
    connection of `broken` is judged again once it is mended."""
    for index, grant in enumerate(definition.automation.writes or ()):
        name = grant.connection
        connection = connections.get(name)
        if name in broken:
            continue
        if connection is None:
            message = f"writes[{index}]: there is no connection {name!r}"
            hint = f"known: {', '.join(sorted(connections))}" if connections else None
            yield _problem(definition, index, "unknown_connection", message, hint)
        elif not granted.connection(name):
            message = f"writes[{index}]: {name} is not among the connections that it may use"
            yield _problem(definition, index, "not_granted", message, f'add "{name}" there')
        else:
            yield from _unlike(definition, index, grant, connection)


def link_warnings(definition: Definition, settings: WorkspaceSettings) -> Iterator[Problem]:
    """Messages about parked writes without the link that their `targets` are there for."""
    if not definition.automation.approvals.targets or settings.public_url is not None:
        return
    lines = definition.lines
    yield Problem(
        file=definition.file,
        code="no_link",
        message="approvals.targets are told of parked writes without a link that decides: "
        "amodal.json says no publicUrl",
        line=lines.get("/approvals/targets") or lines.get("/approvals"),
        severity="warning",
        hint='"publicUrl" in amodal.json; until then the message names the command',
    )


def _unlike(
    definition: Definition, index: int, grant: WriteGrant, connection: Connection
) -> Iterator[Problem]:
    name, mcp = connection.name, connection.protocol is Protocol.MCP
    if connection.protocol is Protocol.RUNTIME:
        message = f"writes[{index}]: {name} is this runtime itself, which only reads"
        yield _problem(definition, index, "bad_writes", message, "take the line away")
    elif (grant.tool if not mcp else grant.endpoint) is not None:
        message = f"writes[{index}]: {name} is {'an' if mcp else 'no'} MCP connection"
        hint = 'name its "tool"' if mcp else 'name an "endpoint" of it'
        yield _problem(definition, index, "bad_writes", message, hint)


def _problem(
    definition: Definition, index: int, code: str, message: str, hint: str | None
) -> Problem:
    line = definition.lines.get(f"/writes/{index}")
    return Problem(file=definition.file, code=code, message=message, line=line, hint=hint)
