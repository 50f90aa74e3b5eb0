"""A write that a person decides on: the exact call, who decided, and what became of it.

The changes of a parked write are the functions here; a ledger applies one in a transaction of its
own, so that of two at once the second sees what the first has done.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from amodal_rt.domain.delivery import OutboxMessage
from amodal_rt.domain.journal import EntryType
from amodal_rt.errors import ConflictError

EXPIRES = timedelta(days=7)
"""How long a person may take, unless the automation says otherwise."""

MOST_LINKS = 100
"""So many links are kept, the newest: a message that is sent again has another one."""
LONGEST = timedelta(days=30)
"""What an automation may say at most."""


class ParkedStatus(StrEnum):
    """Where a parked write is. What is PERFORMING may have reached the other side; UNKNOWN says
    that nobody can tell whether it did, REFUSED that it was approved and may not be made any
    more."""

    OPEN = "open"
    APPROVED = "approved"
    PERFORMING = "performing"
    PERFORMED = "performed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    DENIED = "denied"
    EXPIRED = "expired"


UNSETTLED = frozenset({ParkedStatus.OPEN, ParkedStatus.APPROVED, ParkedStatus.PERFORMING})
"""Statuses that something still follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a person said: who, through which door, when and why. `edited` says that the call is
    not as the run made it any more."""

    approved: bool
    by: str
    door: str
    at: datetime
    note: str | None = None
    edited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link that decides: the digest of its secret, and the label of the target that it went
    to."""

    digest: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedWrite:
    """One row of the ledger.

    `call` is what would leave, as its run made it and free of secrets: `{connection, method,
    endpoint, params, data, headers}` of a request, `{connection, tool, arguments}` of an MCP
    tool. `original` is what it was before somebody edited it. `label` is it in a few words.
    `definition` is the hash of the automation, `surface` a digest of what the connection is, both
    as they were. `step` and `parent` are the call's in the run's journal.

    `why` says in a sentence why a person must decide, `rule` which line. Who started the run may
    not decide where `review` is set; `approvers` are globs of who may, empty for all who manage.
    `sources` are what strangers may have written that the run had read. `outcome` is what the
    other side answered (`{status, result}` or `{error}`); `node` performs it, or did. `told` says
    that those whom the automation names have been asked; `links` are what their messages decide by.
    """

    write_id: str
    run_id: str
    automation: str
    title: str
    definition: str
    step: str
    call: Mapping[str, object]
    label: str
    surface: str
    why: str
    rule: str
    asked_at: datetime
    expires_at: datetime
    parent: str | None = None
    review: bool = False
    approvers: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    requester: str | None = None
    actor: str | None = None
    depth: int = 0
    status: ParkedStatus = ParkedStatus.OPEN
    verdict: Verdict | None = None
    original: Mapping[str, object] | None = None
    begun_at: datetime | None = None
    finished_at: datetime | None = None
    outcome: Mapping[str, object] = field(default_factory=dict[str, object])
    node: str | None = None
    told: bool = False
    links: tuple[Link, ...] = ()

    @property
    def connection(self) -> str:
        """The name of the connection that it goes over."""
        return str(self.call.get("connection", ""))

    @property
    def facts(self) -> dict[str, object]:
        """What each of its entries in the journal says."""
        return {"write_id": self.write_id, "connection": self.connection, "call": self.label}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a parked write becomes, the entry that its run's journal gets, the action and the data
    of a row in the audit trail, and the messages that this owes; without `entry` and `action`
    nothing of it that anybody looks for."""

    write: ParkedWrite
    entry: EntryType | None = None
    data: Mapping[str, object] = field(default_factory=dict[str, object])
    action: str | None = None
    messages: tuple[OutboxMessage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What stands around a parked write when it is ruled on: whether its automation is paused,
    and in words where its row is not what the audit trail says it is; None where it is."""

    paused: bool = False
    misfit: str | None = None


Ruling = Callable[[ParkedWrite, Around], Change | None]
"""What becomes of a write as it stands, with what is around it; None for nothing. Pure, and may be
asked more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Another call than the one that was parked, and it in a few words."""

    call: Mapping[str, object]
    label: str


def decided(
    write: ParkedWrite, verdict: Verdict, around: Around, *, edit: Edit | None = None
) -> Change:
    """A person has said yes or no, perhaps to an edited call. Raises ConflictError:
    `already_decided`, `approval_expired`, `parked_altered`, `paused`."""
    require_open(write)
    if verdict.at >= write.expires_at:
        raise _over(write)
    if around.misfit is not None and verdict.approved:
        raise ConflictError(
            f"{write.write_id} is not what was parked: {around.misfit}",
            code="parked_altered",
            hint=f"deny it; {write.run_id} has what was asked for, `amodal-rt audit verify` says "
            "what else does not fit",
        )
    if around.paused and verdict.approved:
        raise ConflictError(
            f"{write.automation} is paused, and so are its writes",
            code="paused",
            hint=f"`ops automations resume {write.automation}` first",
        )
    status = ParkedStatus.APPROVED if verdict.approved else ParkedStatus.DENIED
    finished = None if verdict.approved else verdict.at
    data = {
        **write.facts,
        "approved": verdict.approved,
        "by": verdict.by,
        "door": verdict.door,
        "note": verdict.note,
        "edited": verdict.edited,
    }
    if edit is not None:
        write = replace(write, call=edit.call, label=edit.label, original=write.call)
        data |= {**write.facts, "arguments": dict(write.call)}
    return Change(
        write=replace(write, status=status, verdict=verdict, finished_at=finished),
        entry=EntryType.APPROVAL_ANSWERED,
        data=data,
        action="write.approved" if verdict.approved else "write.denied",
    )


def require_open(write: ParkedWrite) -> ParkedWrite:
    """The write, where somebody may still decide on it. Raises ConflictError (`already_decided`,
    `approval_expired`)."""
    if write.status is not ParkedStatus.OPEN:
        raise _too_late(write)
    return write


def same_call(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two calls are the same: to Python, 1 and true are equal."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def asked(write: ParkedWrite, messages: tuple[OutboxMessage, ...]) -> Change | None:
    """Those whom the automation names are asked, once; None where they were, or need not be."""
    if write.told or write.status is not ParkedStatus.OPEN:
        return None
    return Change(write=replace(write, told=True), messages=messages)


def linked(write: ParkedWrite, link: Link, now: datetime) -> Change | None:
    """One more link decides on it; None where nothing is left to decide."""
    if write.status is not ParkedStatus.OPEN or now >= write.expires_at:
        return None
    return Change(write=replace(write, links=(*write.links, link)[-MOST_LINKS:]))


def expired(write: ParkedWrite, now: datetime) -> Change | None:
    """Nobody said anything in time, or it could not be performed in time; None while it may."""
    if write.status not in (ParkedStatus.OPEN, ParkedStatus.APPROVED) or now < write.expires_at:
        return None
    return Change(
        write=replace(write, status=ParkedStatus.EXPIRED, finished_at=now),
        entry=EntryType.APPROVAL_EXPIRED,
        data={**write.facts, "approved": write.status is ParkedStatus.APPROVED},
        action="write.expired",
    )


def begun(write: ParkedWrite, node: str, now: datetime, around: Around) -> Change | None:
    """It is about to leave; None where it may not: it was not approved, or has begun, or its time
    is over, or its automation is paused, or it is not what was approved."""
    held = around.paused or around.misfit is not None or now >= write.expires_at
    if write.status is not ParkedStatus.APPROVED or held:
        return None
    data = {**write.facts, "idempotency_key": write.write_id, "parked": True}
    return Change(
        write=replace(write, status=ParkedStatus.PERFORMING, node=node, begun_at=now),
        entry=EntryType.WRITE_STARTED,
        data=data,
        action="write.begun",
    )


_ENTRIES: Mapping[ParkedStatus, EntryType] = {
    ParkedStatus.PERFORMED: EntryType.WRITE_FINISHED,
    ParkedStatus.FAILED: EntryType.WRITE_FAILED,
    ParkedStatus.UNKNOWN: EntryType.WRITE_FAILED,
    ParkedStatus.REFUSED: EntryType.TOOL_DENIED,
}


def ended(
    write: ParkedWrite,
    status: ParkedStatus,
    outcome: Mapping[str, object],
    now: datetime,
    messages: tuple[OutboxMessage, ...] = (),
) -> Change | None:
    """What became of an approved write; None where that is known already."""
    before = ParkedStatus.APPROVED if status is ParkedStatus.REFUSED else ParkedStatus.PERFORMING
    if write.status is not before:
        return None
    unknown = {"outcome": "unknown"} if status is ParkedStatus.UNKNOWN else {}
    return Change(
        write=replace(write, status=status, outcome=outcome, finished_at=now),
        entry=_ENTRIES[status],
        data={**write.facts, **outcome, **unknown},
        action=f"write.{status}",
        messages=messages,
    )


def doubted(write: ParkedWrite, error: str, now: datetime) -> Change | None:
    """An approved write of which nobody can tell any more whether it was made; None for others."""
    if write.status not in (ParkedStatus.APPROVED, ParkedStatus.PERFORMING):
        return None
    return ended(
        replace(write, status=ParkedStatus.PERFORMING), ParkedStatus.UNKNOWN, {"error": error}, now
    )


def _too_late(write: ParkedWrite) -> ConflictError:
    if write.status is ParkedStatus.EXPIRED:
        return _over(write)
    verdict = write.verdict
    said = "approved" if verdict and verdict.approved else "denied"
    who = f" by {verdict.by} through {verdict.door}" if verdict else ""
    return ConflictError(
        f"{write.write_id} was {said}{who}",
        code="already_decided",
        hint=f"`ops approvals show {write.write_id}` says what became of it",
    )


def _over(write: ParkedWrite) -> ConflictError:
    return ConflictError(
        f"{write.write_id} has expired: nobody decided in time",
        code="approval_expired",
        hint=f"start {write.automation} again, if the write is still wanted",
    )
