"""Nodes that reach something: each is one call that passes the gate."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import cast

from pydantic import ValidationError

from amodal_rt.definitions.scope_templates import printed_value
from amodal_rt.domain.workflow import (
    DeliverWork,
    EmitWork,
    McpWork,
    RequestWork,
    StoreAction,
    StoreWork,
)
from amodal_rt.errors import DeniedError, NotFoundError
from amodal_rt.executors.acting.emit_tool import EMIT, EmitArguments, prepare_emit
from amodal_rt.executors.acting.gate import Answer, CallKey, Wish, allowed, make_call
from amodal_rt.executors.acting.request_tool import (
    RequestArguments,
    find_connection,
    prepare_request,
)
from amodal_rt.executors.acting.session import Session
from amodal_rt.executors.acting.tainting import origin_of
from amodal_rt.executors.acting.tools import prepare_mcp
from amodal_rt.executors.workflow import storing
from amodal_rt.executors.workflow.session import WorkflowSession
from amodal_rt.executors.workflow.walk import TOO_LARGE, VALUE_BYTES, NodeError, Visit
from amodal_rt.guardrails.grants import BUILT_IN, REQUEST
from amodal_rt.guardrails.untrusted import plain_line

DELIVER = "deliver"
"""The tool's name of what owes a message, in the journal."""

ValueOf = Callable[[Answer], object]
Prepare = Callable[[], Awaitable[Wish]]


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one try of a node; `session` names their steps below it. `timed` where the node
    says itself how long it may take."""

    run: WorkflowSession
    session: Session
    timed: bool = False

    async def request(self, fields: Mapping[str, object]) -> object:
        """`{status, body}`. An answer of 400 or more is a failure."""
        given = _request_of(fields)

        async def prepare() -> Wish:
            return prepare_request(self.session, given)

        arguments = given.model_dump(exclude_none=True)
        return await self._make(REQUEST, prepare, _response, arguments)

    async def mcp(self, connection: str, tool: str, arguments: Mapping[str, object]) -> object:
        """What the tool answers: JSON where it is, else text."""

        async def prepare() -> Wish:
            found = find_connection(self.session, connection)
            if found.mcp is None:
                raise DeniedError(f"{connection} is no MCP connection")
            pool, context = self.session.services.pool, self.session.context
            depth = context.run.depth
            server = await pool.open(found, context.environment, anew=False, depth=depth)
            server.require(tool)
            offered = next((each for each in server.tools if each.name == tool), None)
            if offered is None:
                raise NotFoundError(f"the server of {connection} has no tool {tool[:60]}")
            return prepare_mcp(connection, server, offered, self.session, arguments)

        name = f"{connection}__{tool}"
        return await self._make(name, prepare, _parsed_text, arguments, call_id="mcp")

    async def emit(self, type: str, data: object, subject: str | None) -> object:
        """`{id}` of the event."""

        async def prepare() -> Wish:
            self._require(EMIT, changes=True)
            return prepare_emit(self.session, EmitArguments(type=type, data=data, subject=subject))

        return await self._make(EMIT, prepare, lambda answer: {"id": answer.facts["event_id"]})

    async def store(
        self, work: StoreWork, key: str | None, value: object, *, call_id: str = "store"
    ) -> object:
        """What was read, or null."""
        reads = work.action in {StoreAction.GET, StoreAction.QUERY}

        async def prepare() -> Wish:
            self._require("query_store" if reads else "write_store", changes=not reads)
            return storing.prepare(self.session, work, key, value)

        arguments = {"store": work.store, "action": work.action.value, "key": key}
        return await self._make(
            f"store_{work.action.value}",
            prepare,
            lambda answer: answer.facts.get("value"),
            arguments,
            call_id=call_id,
        )

    async def deliver(self, names: tuple[str, ...], said: object) -> object:
        """`{targets}`: the messages are owed, and sent apart from the run."""

        async def prepare() -> Wish:
            return _prepare_delivery(self.run, self.session, names, said)

        arguments: dict[str, object] = {"targets": list(names)}
        value: ValueOf = lambda _: {"targets": list(names)}  # noqa: E731
        return await self._make(DELIVER, prepare, value, arguments)

    def _require(self, tool: str, *, changes: bool) -> None:
        if changes and self.session.context.run.rehearse:
            raise DeniedError("a rehearsal changes nothing")
        if not self.session.grants.built_in(tool, BUILT_IN):
            raise DeniedError(
                f"{tool} is not among this automation's tools",
                hint=f'"{tool}" in "tools" would allow it',
            )

    async def _make(
        self,
        name: str,
        prepare: Prepare,
        value_of: ValueOf,
        arguments: Mapping[str, object] | None = None,
        *,
        call_id: str | None = None,
    ) -> object:
        async def valued() -> Wish:
            wish = await prepare()

            async def perform(key: CallKey) -> Answer:
                answer = await wish.perform(key)
                return self._kept(answer, value_of(answer)) if answer.ok else answer

            # A node that says `timeoutSeconds` waits that long, and is ended by its own clock.
            seconds = None if self.timed else wish.seconds
            return replace(wish, perform=perform, seconds=seconds)

        await self.run.rows.sent()
        passed = await make_call(self.session, name, arguments or {}, call_id or name, valued)
        if not passed.ok:
            raise NodeError(plain_line(passed.told.removeprefix("error: "), 400))
        return passed.facts.get("value")

    def _kept(self, answer: Answer, value: object) -> Answer:
        """The answer with its value beside it, so that it can be told again after a crash."""
        masked = self.run.mask(value)
        size = len(json.dumps(masked, default=str).encode())
        if size > VALUE_BYTES:
            text = f"{TOO_LARGE}: {size:,} bytes, and {VALUE_BYTES:,} are allowed"
            return Answer(text=text, ok=False, facts=answer.facts)
        head = answer.text.partition("\n")[0]
        return Answer(text=head, facts={**answer.facts, "value": masked})


def calls_of(run: WorkflowSession, visit: Visit) -> Calls:
    """For one try of a node: its calls stand under it, its effects are its own and the run's."""
    session = replace(
        run.acting,
        parent=visit.place,
        effects=visit.effects,
        composed=True,
        calls=Counter[str](),
        turn=[],
    )
    return Calls(run, session, timed=visit.node.timeout is not None)


async def ask_service(calls: Calls, work: RequestWork, scope: Mapping[str, object]) -> object:
    """One HTTP request."""
    fields = {
        "connection": work.connection,
        "method": work.method,
        "endpoint": printed_value(work.endpoint.value, scope),
        "params": printed_value(work.params.value, scope),
        "data": printed_value(work.data.value, scope),
        "headers": printed_value(work.headers.value, scope),
    }
    return await calls.request(fields)


async def mcp(calls: Calls, work: McpWork, scope: Mapping[str, object]) -> object:
    """One call of a tool of an MCP server."""
    arguments = printed_value(work.arguments.value, scope)
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise NodeError("arguments is no object")
    return await calls.mcp(work.connection, work.tool, cast("dict[str, object]", arguments))


async def emit(calls: Calls, work: EmitWork, scope: Mapping[str, object]) -> object:
    """One event."""
    subject = printed_value(work.subject.value, scope)
    data = printed_value(work.data.value, scope)
    return await calls.emit(work.type, data, None if subject is None else text_of(subject))


async def store(calls: Calls, work: StoreWork, scope: Mapping[str, object]) -> object:
    """One look into a store, or one change of it."""
    key = printed_value(work.key.value, scope)
    value = printed_value(work.value.value, scope)
    return await calls.store(work, None if key is None else text_of(key), value)


async def deliver(calls: Calls, work: DeliverWork, scope: Mapping[str, object]) -> object:
    """One message to each target."""
    return await calls.deliver(work.targets, printed_value(work.message.value, scope))


def text_of(value: object) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _prepare_delivery(
    run: WorkflowSession, session: Session, names: tuple[str, ...], said: object
) -> Wish:
    known = session.context.snapshot.settings.targets
    for name in names:
        if name not in known:
            raise NotFoundError(f"amodal.json has no target {name}")
    targets = [known[name] for name in names]

    async def perform(key: CallKey) -> Answer:
        context, now = session.context, session.services.clock.now()
        # Owed by an earlier attempt in one transaction with its row, they are owed already.
        if key.step not in session.past.kept:
            await run.ledger.owe_from_run(
                context.run.run_id,
                run.messages.of_step(
                    context.run, targets, run.mask(said), now, origin=origin_of(session)
                ),
                at=now,
                step=key.step,
                attempt=context.run.attempt,
                term=context.run.term,
            )
        return Answer(text=f"owed to {len(targets)} targets")

    return Wish(decision=allowed(), perform=perform)


def _request_of(fields: Mapping[str, object]) -> RequestArguments:
    try:
        return RequestArguments.model_validate(fields)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        said = "; ".join(f"{each['loc'][0]}: {each['msg']}" for each in faults[:5])
        raise NodeError(plain_line(f"no request can be made of it: {said}", 400)) from None


def _response(answer: Answer) -> object:
    head, _, body = answer.text.partition("\n\n")
    kind = head.partition("\n")[0].rpartition(" ")[2]
    value = _parsed(body) if "json" in kind else body
    return {"status": answer.facts.get("status"), "body": value if body else None}


def _parsed_text(answer: Answer) -> object:
    return _parsed(answer.text)


def _parsed(text: str) -> object:
    try:
        return cast("object", json.loads(text))
    except (ValueError, RecursionError):
        return text
