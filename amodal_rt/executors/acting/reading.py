"""A read that the runtime makes for an automation's own file: its gate's, its probe's.

It goes the way of every tool call: the same grants, the same judgement, the same guard at the way
out. It has no power to write, whatever the automation may.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from amodal_rt.domain import filter as algebra
from amodal_rt.domain.automation import GateRead
from amodal_rt.domain.connection import Intent
from amodal_rt.errors import DeniedError, UnavailableError
from amodal_rt.executors.acting.gate import Answer, CallKey, Wish
from amodal_rt.executors.acting.profiles import find_profile_of
from amodal_rt.executors.acting.request_tool import RequestArguments, prepare_request
from amodal_rt.executors.acting.session import Services, Session, agent_of
from amodal_rt.executors.acting.tools import prepare_mcp
from amodal_rt.guardrails.grants import grants_of
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.guardrails.writes import READ_ONLY
from amodal_rt.ports import RunContext


async def perform_read(
    context: RunContext,
    services: Services,
    read: GateRead,
    *,
    who: str,
    step: str,
    begun: Callable[[Mapping[str, object]], Awaitable[None]],
) -> Answer:
    """The answer, whatever it is; `who` reads, in words, and `begun` is told the facts of the call
    before it leaves. Raises AmodalError and OSError for what keeps it from being read."""
    prepare = _prepare_tool if read.tool is not None else _prepare_endpoint
    wish = await prepare(_session(context, services, read), read)
    if wish.decision.intent is not Intent.READ or not wish.decision.allowed:
        # It has no power to write, so this is also what the refusal of one says.
        raise DeniedError(f"{who} only reads: {wish.decision.reason}")
    await begun(dict(wish.facts))
    key = CallKey(step=step, idempotency_key=f"{context.run.run_id}:{step}")
    try:
        async with services.clock.deadline(wish.seconds):
            return await wish.perform(key)
    except TimeoutError:
        raise UnavailableError(f"no answer within {wish.seconds or 0:g} seconds") from None


def found_in(answer: Answer, read: GateRead, *, status: int | None = None) -> object:
    """What stands at the path of the answer, `MISSING` included. Raises UnavailableError for one
    that is no success, or has another status than the one that is named."""
    return algebra.value_at(_parsed(_body(answer, read, status), read), read.path)


def comparable_in(answer: Answer, read: GateRead) -> object:
    """What stands at the path of the answer, to be compared with what stood there before; None
    for a place in a list that is empty. Raises UnavailableError as `found_in`, and where the path
    leads nowhere: a slip in it would be no news for ever."""
    whole = _parsed(_body(answer, read, None), read)
    found = algebra.value_at(whole, read.path)
    if found is not algebra.MISSING:
        return found
    places = (algebra.value_at(whole, read.path[:end]) for end in range(len(read.path)))
    if [] in places:
        return None
    place = algebra.shown_path(read.path)
    answered = f"{read.tool or f'GET {read.endpoint}'} over {read.connection}"
    raise UnavailableError(f"{answered} answered with nothing at {place}")


def read_label(read: GateRead) -> str:
    """`GET /status (data.version)`, for people."""
    place = f" ({algebra.shown_path(read.path)})" if read.path else ""
    return (read.tool or f"GET {read.endpoint}") + place


def _session(context: RunContext, services: Services, read: GateRead) -> Session:
    """A session that can do nothing but this read."""
    connection = context.snapshot.connections.get(read.connection)
    grants = grants_of(context.definition.automation, agent_of(context), find_profile_of(context))
    usable = connection if connection and grants.connection(read.connection) else None
    missing = context.environment.missing(usable.secrets) if usable else ()
    why = {read.connection: f"the environment variable {missing[0]} is not set"} if missing else {}
    return Session(
        context=context,
        services=services,
        grants=grants,
        powers=READ_ONLY,
        connections={read.connection: usable} if usable and not missing else {},
        unavailable=why,
        servers={},
    )


async def _prepare_endpoint(session: Session, read: GateRead) -> Wish:
    given = RequestArguments(
        connection=read.connection,
        method="GET",
        endpoint=read.endpoint or "/",
        params=dict(read.query),
    )
    return prepare_request(session, given)


async def _prepare_tool(session: Session, read: GateRead) -> Wish:
    connection = session.connections.get(read.connection)
    if connection is None or connection.mcp is None:
        # Says why it cannot be used, where that is known.
        return await _prepare_endpoint(session, GateRead(connection=read.connection, endpoint="/"))
    context, pool = session.context, session.services.pool
    server = await pool.open(connection, context.environment, anew=False, depth=context.run.depth)
    tool = next((each for each in server.tools if each.name == read.tool), None)
    if tool is None:
        raise DeniedError(f"the server of {connection.name} has no tool {read.tool}")
    return prepare_mcp(connection.name, server, tool, session, read.arguments)


def _body(answer: Answer, read: GateRead, wanted: int | None) -> str:
    """The answer without what was put before it. Raises UnavailableError where it is no answer."""
    status = answer.facts.get("status")
    moved = isinstance(status, int) and status >= 300
    if (status != wanted) if wanted is not None else (not answer.ok or moved):
        said = plain_line(answer.text, 200)
        raise UnavailableError(f"{read_label(read)} over {read.connection} answered: {said}")
    return answer.text.partition("\n\n")[2] if status is not None else answer.text


def _parsed(text: str, read: GateRead) -> object:
    """The document, or the text where none was asked for. Raises UnavailableError: a sign-in
    page with status 200 has nothing at any path, which would be news."""
    try:
        return cast("object", json.loads(text))
    except (ValueError, RecursionError):
        if read.path:
            said = plain_line(text, 80)
            message = f"{read_label(read)} over {read.connection} answered no JSON: {said}"
            raise UnavailableError(message) from None
        return text
