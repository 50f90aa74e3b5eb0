"""How a session begins: what the run may use, and what it has been told already."""

from dataclasses import replace

from amodal_rt.domain.connection import Connection
from amodal_rt.executors.acting.past import Past
from amodal_rt.executors.acting.profiles import find_profile_of
from amodal_rt.executors.acting.session import Services, Session, agent_of
from amodal_rt.executors.acting.tainting import note_beginning, note_descriptions, trusted_of
from amodal_rt.guardrails.grants import grants_of
from amodal_rt.guardrails.writes import powers_of
from amodal_rt.ports import RunContext


async def open_session(context: RunContext, services: Services, past: Past) -> Session:
    """Find out what the run may use and start the MCP servers that it may need; `past` is what it
    goes on from."""
    return await with_servers(closed_session(context, services, past))


async def with_servers(session: Session) -> Session:
    """The session with the MCP servers of its connections, started where needed."""
    context, connections = session.context, session.connections
    servers, failed = await session.services.pool.open_all(
        [each for each in connections.values() if each.mcp is not None],
        context.environment,
        depth=context.run.depth,
    )
    served = replace(
        session,
        connections={name: each for name, each in connections.items() if name not in failed},
        unavailable={**session.unavailable, **failed},
        servers=servers,
    )
    note_descriptions(served)
    return served


def closed_session(context: RunContext, services: Services, past: Past) -> Session:
    """What the run may use, without any MCP server."""
    if None in past.prompts:
        # What is new since the last run must mean what it meant before the interruption.
        context = replace(context, previous=past.previous())
    grants = grants_of(context.definition.automation, agent_of(context), find_profile_of(context))
    usable: dict[str, Connection] = {}
    unavailable: dict[str, str] = {}
    for name, connection in context.snapshot.connections.items():
        if not grants.connection(name):
            continue
        missing = context.environment.missing(connection.secrets)
        if missing:
            unavailable[name] = f"the environment variable {missing[0]} is not set"
        else:
            usable[name] = connection
    session = Session(
        context=context,
        services=services,
        grants=grants,
        powers=powers_of(context.definition),
        connections=usable,
        unavailable=unavailable,
        servers={},
        past=past,
        trusted=trusted_of(context, usable.values()),
    )
    note_beginning(session)
    return session
