"""The verbs of parked writes: what waits for a person, and what that person says."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from amodal_rt.clock import Clock, first_of, iso
from amodal_rt.domain import parked
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.parked import Around, Change, Edit, ParkedStatus, ParkedWrite, Verdict
from amodal_rt.errors import ConflictError, DeniedError, NotFoundError
from amodal_rt.operations import edited_calls
from amodal_rt.operations.edited_calls import Held, Pins
from amodal_rt.operations.facts import KnownFacts
from amodal_rt.operations.shapes import Document
from amodal_rt.ports import (
    PARKED,
    Caller,
    Catalogue,
    ParkedFilter,
    ParkedLedger,
    Signals,
    journal_topic,
)

PREFIX = "write_"
"""What the id of a parked write begins with."""
SETTLED_SECONDS = 5.0
"""How long whoever approves is kept waiting for what became of it."""
Check = Callable[[ParkedWrite, Mapping[str, object]], Awaitable[Edit | None]]
"""Judges another call instead of the one that was parked. Raises AmodalError."""
Pinned = Callable[[ParkedWrite], Pins]
"""What of its call the files hold to a value."""
_UNDER_WAY = frozenset({ParkedStatus.APPROVED, ParkedStatus.PERFORMING})
_APPROVED = tuple(
    each
    for each in ParkedStatus
    if each not in (ParkedStatus.OPEN, ParkedStatus.DENIED, ParkedStatus.EXPIRED)
)


class Pauses:
    """Which automations are paused, and with them their writes: by their file, or by somebody."""

    def __init__(self, catalogue: Catalogue, facts: KnownFacts) -> None:
        self._catalogue = catalogue
        self._facts = facts

    def of(self, automation: str) -> str | None:
        """In words, and what would end it; None where it is not paused."""
        definition = self._catalogue.snapshot().find(automation)
        if definition is not None and definition.automation.status is Lifecycle.PAUSED:
            return f"{automation} is paused by its file ({definition.place('/status')})"
        facts = self._facts.of(automation)
        if not facts.paused:
            return None
        reason = f" ({facts.paused_reason})" if facts.paused_reason else ""
        return f"{automation} is paused{reason}, until `ops automations resume {automation}`"


class Writes:
    """Answers from the ledger; what is approved, somebody else performs."""

    def __init__(
        self,
        ledger: ParkedLedger,
        pauses: Pauses,
        *,
        check: Check,
        pinned: Pinned,
        signals: Signals,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._pauses = pauses
        self._check = check
        self._pinned = pinned
        self._signals = signals
        self._clock = clock

    async def waiting(self, *, automation: str | None = None, limit: int = 50) -> list[ParkedWrite]:
        """Those that nobody has decided on, the newest first."""
        wanted = ParkedFilter(automation=automation, statuses={ParkedStatus.OPEN}, limit=limit)
        return await self._ledger.list_parked(wanted)

    async def of_run(self, run_id: str) -> list[ParkedWrite]:
        """All of one run, the first first."""
        return (await self._ledger.list_parked(ParkedFilter(run_id=run_id, limit=1000)))[::-1]

    async def get(self, write_id: str) -> ParkedWrite:
        """One. Raises NotFoundError (`approval_not_found`)."""
        found = await self._ledger.find_parked(write_id)
        if found is None:
            raise NotFoundError(
                f"no parked write {write_id}",
                code="approval_not_found",
                hint="`ops approvals list` has what waits for an answer",
            )
        return found

    def document(self, write: ParkedWrite) -> Document:
        """As `ops approvals` shows it: what questions have too, and all of the `write`."""
        waits = write.status in (ParkedStatus.OPEN, ParkedStatus.APPROVED)
        return _document(write, self._pauses.of(write.automation) if waits else None)

    def free(self, write: ParkedWrite) -> tuple[dict[str, object], list[Held]]:
        """What a person may edit of its call in a form, and what stays as it is."""
        pins = self._pinned(write)
        return edited_calls.free(write.call, pins), edited_calls.held(write.call, pins)

    def joined(self, write: ParkedWrite, given: Mapping[str, object]) -> Mapping[str, object]:
        """Its call, with that as its free part. Raises InvalidError (`field_held`)."""
        return edited_calls.joined(write.call, self._pinned(write), given)

    async def only_of(self, run_id: str) -> ParkedWrite | None:
        """The one write of the run that waits, None for none. Raises ConflictError (`several`)
        where there are more."""
        found = [each for each in await self.of_run(run_id) if each.status is ParkedStatus.OPEN]
        if len(found) > 1:
            ids = ", ".join(each.write_id for each in found)
            raise ConflictError(f"{run_id} waits with {len(found)} writes: {ids}", code="several")
        return found[0] if found else None

    async def decide(
        self,
        caller: Caller,
        write_id: str,
        *,
        approved: bool,
        note: str | None,
        call: Mapping[str, object] | None = None,
    ) -> ParkedWrite:
        """Say yes or no, once; returns it with what became of it, as far as that is known soon.
        With `call`, yes to that call instead, which is checked as every other.

        Raises NotFoundError, DeniedError (`not_an_approver`, `own_run`) and ConflictError
        (`already_decided`, `approval_expired`, `parked_altered`, `paused`); for an edited call
        also why it may not be made.
        """
        found = await self.get(write_id)
        require_approver(found, caller)
        return await self.settle(caller, found, approved=approved, note=note, call=call)

    async def settle(
        self,
        caller: Caller,
        found: ParkedWrite,
        *,
        approved: bool,
        note: str | None,
        call: Mapping[str, object] | None = None,
    ) -> ParkedWrite:
        """The same for a caller who may decide. Raises ConflictError."""
        write_id = found.write_id
        now = self._clock.now()
        edit = await self._check(found, call) if call is not None and approved else None
        verdict = Verdict(
            approved=approved,
            by=caller.actor,
            door=caller.door,
            at=now,
            note=note,
            edited=edit is not None,
        )
        held = self._pauses.of(found.automation) is not None

        def rule(write: ParkedWrite, around: Around) -> Change | None:
            around = replace(around, paused=around.paused or held)
            return parked.decided(write, verdict, around, edit=edit)

        decided = await self._ledger.rule_on_parked(write_id, rule, caller=caller, at=now)
        with self._signals.listen(PARKED) as changed:
            self._signals.notify(PARKED)
            self._signals.notify(journal_topic(found.run_id))
            until = self._clock.monotonic() + SETTLED_SECONDS
            while decided is not None and decided.status in _UNDER_WAY:
                left = until - self._clock.monotonic()
                if left <= 0:
                    break
                await first_of(changed(), self._clock.sleep(left))
                decided = await self._ledger.find_parked(write_id)
        return decided or await self.get(write_id)


async def counts_of(ledger: ParkedLedger, automation: str) -> Document:
    """How its parked writes fared, of those that are kept: `edited` are among the `approved`."""
    rows = (await ledger.count_parked(automation)).get(automation, ())

    def count(*statuses: ParkedStatus, edited: bool | None = None) -> int:
        return sum(
            number
            for status, changed, number in rows
            if status in statuses and edited in (None, changed)
        )

    return {
        "open": count(ParkedStatus.OPEN),
        "approved": count(*_APPROVED),
        "edited": count(*_APPROVED, edited=True),
        "denied": count(ParkedStatus.DENIED),
        "expired": count(ParkedStatus.EXPIRED),
    }


def require_approver(write: ParkedWrite, caller: Caller) -> None:
    """Raise DeniedError where this caller is none of those who may decide."""
    if write.approvers and not any(fnmatchcase(caller.actor, each) for each in write.approvers):
        raise DeniedError(
            f"{caller.actor} is none of those who decide on writes of {write.automation}: "
            f"{', '.join(write.approvers)}",
            code="not_an_approver",
            hint=f'they stand in "approvals" of {write.automation}',
        )
    if write.review and caller.actor in (write.actor, write.requester):
        raise DeniedError(
            f"{caller.actor} has started {write.run_id}, and its writes are for another person",
            code="own_run",
            hint=f'connections/{write.connection}/access.json says "confirm": "review"',
        )


def _document(write: ParkedWrite, waits_for: str | None) -> Document:
    verdict = write.verdict
    return {
        "kind": "write",
        "id": write.write_id,
        "run_id": write.run_id,
        "automation": write.automation,
        "title": write.title,
        "requester": write.requester,
        "step": write.step,
        "node": None,
        "message": write.why,
        "asked_at": iso(write.asked_at),
        "until": iso(write.expires_at),
        "status": write.status.value,
        "by": verdict.by if verdict else None,
        "door": verdict.door if verdict else None,
        "note": verdict.note if verdict else None,
        "answered_at": iso(verdict.at) if verdict else None,
        "write": {
            "connection": write.connection,
            "label": write.label,
            "call": dict(write.call),
            "original": dict(write.original) if write.original is not None else None,
            "rule": write.rule,
            "review": write.review,
            "approvers": list(write.approvers),
            "tainted_by": list(write.sources),
            "definition": write.definition,
            "idempotency_key": write.write_id,
            "waits_for": waits_for,
            "begun_at": iso(write.begun_at),
            "finished_at": iso(write.finished_at),
            "outcome": dict(write.outcome) or None,
        },
    }
