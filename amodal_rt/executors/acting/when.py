"""`when`: what is asked before a model is paid, and what stands in the journal of it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from amodal_rt import failpoints
from amodal_rt.clock import iso, parse_iso
from amodal_rt.domain import filter as algebra
from amodal_rt.domain.automation import Gate, GateRead
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import GateValue, Outcome, failed
from amodal_rt.domain.run import FailedReason, Run, RunStatus, SkippedReason
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.errors import AmodalError
from amodal_rt.executors.acting.past import Past
from amodal_rt.executors.acting.reading import found_in, perform_read, read_label
from amodal_rt.executors.acting.session import Services
from amodal_rt.guardrails.untrusted import plain_line
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

    async def begun(facts: Mapping[str, object]) -> None:
        await context.journal.record(EntryType.GATE_STARTED, step=STEP, data=facts)
        failpoints.hit("gate.before_read")

    answer = await perform_read(context, services, read, who="the gate", step=STEP, begun=begun)
    failpoints.hit("gate.after_read")
    return found_in(answer, read)


def _or_null(found: object) -> object:
    return None if found is algebra.MISSING else found


def _label(read: GateRead | None) -> str:
    return "the event" if read is None else read_label(read)


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
