"""Runs that programs invoke, with a payload that the automation's file judges."""

from collections.abc import Mapping
from dataclasses import replace

from amodal_rt.clock import Clock
from amodal_rt.domain.automation import Automation, Definition, Lifecycle
from amodal_rt.domain.cause import Cause
from amodal_rt.domain.invocation import (
    Invocation,
    InvokeAuth,
    same_json,
)
from amodal_rt.domain.run import Run, SkippedReason
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.errors import ConflictError, InvalidError
from amodal_rt.ids import Ids
from amodal_rt.operations import automation_shapes, shapes
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.given import judged, require_admitted
from amodal_rt.operations.shapes import Document
from amodal_rt.operations.starting import Starting, runnable
from amodal_rt.ports import RUNS_PENDING, Caller, Catalogue, Ledger, Signals
from amodal_rt.triggers.holds import creator_rule
from amodal_rt.triggers.starts import caused_by, start_for

LONGEST_KEY = 256
_OWN_KEYS = "invoke:"
"""What keeps callers' keys apart from those that templates print."""


class Invoking:
    """Judges what callers send, and starts at most one run for one key."""

    def __init__(
        self,
        catalogue: Catalogue,
        ledger: Ledger,
        facts: KnownFacts,
        starting: Starting,
        *,
        signals: Signals,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._facts = facts
        self._starting = starting
        self._signals = signals
        self._clock = clock
        self._ids = ids

    async def invoke(
        self,
        caller: Caller,
        name: str,
        *,
        payload: object = None,
        participants: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
        shown: InvokeAuth | None = None,
        cause: Cause | None = None,
    ) -> Document:
        """The new run's document, at once, or that of the run that took the key within a week.

        `shown` is what the caller proved itself with, None for the operator of this machine.
        `cause` is the run that asks for it: too deep in a chain, the new one is skipped.
        Raises NotFoundError, DeniedError (`wrong_invoke_auth`), ConflictError (`not_invoked`,
        `automation_paused`, `creator_invalid`; `idempotency_mismatch` when the key's run had
        another payload), InvalidError (`payload_misfit`, `payload_locked`, `payload_too_large`,
        `bad_payload`, `bad_idempotency_key`, `no_participants`, and whatever keeps the file from
        running), UnavailableError.
        """
        definition = runnable(self._starting.state(name))
        automation = definition.automation
        rules = _rules(automation)
        require_admitted(name, rules, shown)
        self._require_active(definition)
        if participants:
            message = f"{name} has no participants"
            raise InvalidError(message, code="no_participants", hint="leave participants away")
        given = await judged(payload, rules, definition)
        return await self._started(caller, definition, given, _key(idempotency_key), cause)

    def _require_active(self, definition: Definition) -> None:
        automation = definition.automation
        status = automation_shapes.effective(definition, self._facts.of(automation.name))
        if status is not Lifecycle.ACTIVE:
            message = f"{automation.name} is {status}, so nobody can invoke it"
            hint = f"ops automations {'resume' if status is Lifecycle.PAUSED else 'activate'}"
            raise ConflictError(message, code="automation_paused", hint=f"{hint} {automation.name}")
        nobody = creator_rule(definition, self._catalogue.snapshot().identities)
        if nobody is not None:
            message = f"{automation.name} counts as paused: {nobody}"
            raise ConflictError(message, code="creator_invalid")

    async def _started(
        self,
        caller: Caller,
        definition: Definition,
        payload: object,
        key: str | None,
        cause: Cause | None,
    ) -> Document:
        now = self._clock.now()
        start = start_for(
            definition,
            TriggerKind.INVOKED,
            ids=self._ids,
            now=now,
            payload=payload,
            caller=caller,
        )
        start = start if cause is None else caused_by(cause, start)
        if key is not None:
            found = await self._ledger.find_keyed(start.automation, key, now=now)
            if found is not None:
                return _same(found, payload)
            # What never runs must not take the key of what would.
            start = start if start.skip else replace(start, idempotency_key=key)
        (ref,) = await self._ledger.admit([start])
        if key is not None and ref.reason == SkippedReason.DUPLICATE:
            # Another caller was faster between the question and the row.
            found = await self._ledger.find_keyed(start.automation, key, now=now)
            if found is not None:
                return _same(found, payload)
        self._signals.notify(RUNS_PENDING)
        found = await self._ledger.find_run(ref.run_id)
        assert found is not None, "a row that was just committed"
        return shapes.run_in_full(found, ())


def _rules(automation: Automation) -> Invocation:
    """Raises ConflictError for an automation that only its triggers start."""
    if automation.invocation is not None:
        return automation.invocation
    if any(each.kind is TriggerKind.MANUAL for each in automation.triggers):
        return Invocation()
    message = f"{automation.name} is started by its own triggers, not by callers"
    raise ConflictError(message, code="not_invoked", hint='give it an "inputSchema"')


def _key(text: str | None) -> str | None:
    if text is None:
        return None
    if not 1 <= len(text) <= LONGEST_KEY or not text.isprintable():
        message = f"an idempotency key has 1 to {LONGEST_KEY} characters that can be printed"
        raise InvalidError(message, code="bad_idempotency_key")
    return f"{_OWN_KEYS}{text}"


def _same(found: Run, payload: object) -> Document:
    if not same_json(found.payload, payload):
        message = f"the idempotency key belongs to {found.run_id}, which had another payload"
        hint = "send what was sent then, or another key"
        raise ConflictError(message, code="idempotency_mismatch", hint=hint)
    return shapes.run_in_full(found, ())
