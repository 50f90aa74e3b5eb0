"""`when`: what is asked before a model is paid, and what stands in the journal of it.

A read goes the way of every tool call: the same grants, the same judgement, the same guard at the
way out. It has no power to write, whatever the automation may.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from amodal_rt import failpoints
from amodal_rt.clock import iso, parse_iso
from amodal_rt.domain import filter as algebra
from amodal_rt.domain.automation import Gate, GateRead
from amodal_rt.domain.connection import Intent
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import GateValue, Outcome, failed
from amodal_rt.domain.run import FailedReason, Run, RunStatus, SkippedReason
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.errors import AmodalError, DeniedError, UnavailableError
from amodal_rt.executors.acting.gate import Answer, CallKey, Wish
from amodal_rt.executors.acting.past import Past
from amodal_rt.executors.acting.request_tool import RequestArguments, prepare_request
from amodal_rt.executors.acting.session import Services, Session, agent_of
from amodal_rt.executors.acting.tools import prepare_mcp
from amodal_rt.guardrails.grants import grants_of
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.guardrails.writes import READ_ONLY
from amodal_rt.ports import KeptValue, RunContext

STEP = "when"
"""The step of the gate in the journal."""
VALUE_CHARACTERS = 4_096
"""How long a value may be that is kept as it is; of a longer one its digest is compared."""

_ASKED_FOR = frozenset({TriggerKind.MANUAL, TriggerKind.INVOKED})


@dataclass(frozen=True, slots=True)
class Seen:
    """What the gate said, and what it saw; no `value` without `changed`."""

    open: bool
    rule: str
    value: GateValue | None = None

    def closed(self) -> Outcome:
        """The outcome of a run that it stopped."""
        return Outcome(status=RunStatus.SKIPPED, reason=SkippedReason.FILTERED, error=self.rule)


async def ask_gate(context: RunContext, services: Services, past: Past) -> Seen | Outcome | None:
    """What the automation's gate says of this run; the failed outcome where it could not be
    asked; None where nothing is asked: there is no gate, or a person wants the run.

    A run that goes on from its journal is not asked again.
    """
    gate = context.definition.automation.gate
    if gate is None or context.run.trigger in _ASKED_FOR:
        return None
    if past.gate is not None:
        return _recalled(past.gate, context.run)
    # Before the read: what is kept later than this may come from a read that is newer.
    before = await _kept(context, services, gate)
    try:
        found = await _read(context, services, gate.read) if gate.read else _given(context)
    except AmodalError as error:
        return await _failed(context, services, error.message)
    except OSError as error:
        return await _failed(context, services, str(error) or type(error).__name__)
    seen = await _judge(context, services, gate, found, before)
    facts: dict[str, object] = {"open": seen.open, "rule": seen.rule}
    if seen.value is not None:
        facts |= _told(seen.value)
    await context.journal.record(EntryType.GATE_FINISHED, step=STEP, data=facts)
    return seen


def _given(context: RunContext) -> object:
    return context.event.data if context.event is not None else context.run.payload


async def _kept(context: RunContext, services: Services, gate: Gate) -> KeptValue | None:
    if not gate.changed:
        return None
    return await services.ledger.gate_value(context.definition.automation.name)


async def _judge(
    context: RunContext, services: Services, gate: Gate, found: object, before: KeptValue | None
) -> Seen:
    passed = algebra.judge(gate.filter, found) if gate.filter is not None else None
    said = passed.rule if passed is not None else ""
    last = await _kept(context, services, gate)
    if before is None or last is None:
        rule = services.redactor.mask(f"when: {said}")
        return Seen(passed is None or passed.passes, plain_line(rule, 300))
    value = canonical(services.redactor.mask_document(_or_null(found)))
    news = value != last.value
    if news and passed is not None and not passed.passes:
        rule = f"when: {said}"
    elif not news:
        rule = f"when: {_label(gate.read)} is as the last completed run saw it"
    else:
        rule = f"when: {_label(gate.read)} is not as the last completed run saw it"
    is_open = news and (passed is None or passed.passes)
    seen = GateValue(value=value, since=before.at, until=last.at, over=before.run_id)
    return Seen(is_open, plain_line(services.redactor.mask(rule), 300), seen)


def canonical(value: object) -> str:
    """JSON that is equal for equal values; a digest of it where it is long."""
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"), default=str)
    if len(text) <= VALUE_CHARACTERS:
        return text
    return json.dumps("sha256:" + hashlib.sha256(text.encode()).hexdigest())


async def _read(context: RunContext, services: Services, read: GateRead) -> object:
    """What stands at the path of the answer. Raises what keeps it from being read."""
    prepare = _prepare_tool if read.tool is not None else _prepare_endpoint
    wish = await prepare(_session(context, services, read), read)
    if wish.decision.intent is not Intent.READ or not wish.decision.allowed:
        # A gate has no power to write, so this is also what the refusal of one says.
        raise DeniedError(f"the gate only reads: {wish.decision.reason}")
    await context.journal.record(EntryType.GATE_STARTED, step=STEP, data=dict(wish.facts))
    failpoints.hit("gate.before_read")
    try:
        async with services.clock.deadline(wish.seconds):
            answer = await wish.perform(
                CallKey(step=STEP, idempotency_key=f"{context.run.run_id}:{STEP}")
            )
    except TimeoutError:
        raise UnavailableError(f"no answer within {wish.seconds or 0:g} seconds") from None
    failpoints.hit("gate.after_read")
    return algebra.value_at(_parsed(_body(answer, read), read), read.path)


def _session(context: RunContext, services: Services, read: GateRead) -> Session:
    """A session that can do nothing but this read."""
    connection = context.snapshot.connections.get(read.connection)
    grants = grants_of(context.definition.automation, agent_of(context))
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


def _body(answer: Answer, read: GateRead) -> str:
    """The answer without what was put before it. Raises UnavailableError where it is no answer."""
    status = answer.facts.get("status")
    moved = isinstance(status, int) and status >= 300
    if not answer.ok or moved:
        said = plain_line(answer.text, 200)
        raise UnavailableError(f"{_label(read)} over {read.connection} answered: {said}")
    return answer.text.partition("\n\n")[2] if status is not None else answer.text


def _parsed(text: str, read: GateRead) -> object:
    """The document, or the text where none was asked for. Raises UnavailableError: a sign-in
    page with status 200 has nothing at any path, which would be news."""
    try:
        return cast("object", json.loads(text))
    except (ValueError, RecursionError):
        if read.path:
            said = plain_line(text, 80)
            message = f"{_label(read)} over {read.connection} answered no JSON: {said}"
            raise UnavailableError(message) from None
        return text


def _or_null(found: object) -> object:
    return None if found is algebra.MISSING else found


def _label(read: GateRead | None) -> str:
    if read is None:
        return "the event"
    place = f" ({algebra.shown_path(read.path)})" if read.path else ""
    return (read.tool or f"GET {read.endpoint}") + place


def _told(seen: GateValue) -> dict[str, object]:
    read = {"since": iso(seen.since), "until": iso(seen.until), "over": seen.over}
    return {"value": seen.value, "read": read}


def _recalled(facts: Mapping[str, object], run: Run) -> Seen:
    value, read = facts.get("value"), facts.get("read")
    is_open, rule = facts.get("open") is True, str(facts.get("rule", "when"))
    if not isinstance(value, str):
        return Seen(is_open, rule)
    told = cast("Mapping[str, object]", read if isinstance(read, Mapping) else {})
    return Seen(is_open, rule, _recalled_value(value, told, run))


def _recalled_value(value: str, told: Mapping[str, object], run: Run) -> GateValue:
    since, until, over = told.get("since"), told.get("until"), told.get("over")
    # A journal that does not say when: as old as can be, so that it replaces nothing newer.
    return GateValue(
        value=value,
        since=parse_iso(since) if isinstance(since, str) else run.created_at,
        until=parse_iso(until) if isinstance(until, str) else run.created_at,
        over=over if isinstance(over, str) else None,
    )


async def _failed(context: RunContext, services: Services, reason: str) -> Outcome:
    error = plain_line(services.redactor.mask(f"when: {reason}"), 500)
    await context.journal.record(EntryType.GATE_FAILED, step=STEP, data={"error": error})
    return failed(FailedReason.ERROR, error)
