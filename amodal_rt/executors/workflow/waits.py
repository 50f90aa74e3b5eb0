"""Nodes that let the run wait outside a slot.

A run that was claimed after it was parked has waited long enough: the ledger said so. An instant
that stands in the journal is not compared with the clock again, which may have been set since.
"""

from collections.abc import Mapping
from datetime import datetime

from amodal_rt.clock import from_millis, iso, parse_iso, to_millis
from amodal_rt.definitions.scope_templates import printed_value
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Waiting
from amodal_rt.domain.run import PendingReason
from amodal_rt.domain.workflow import ApprovalWork, WaitWork
from amodal_rt.executors.workflow.calls import text_of
from amodal_rt.executors.workflow.session import WorkflowSession
from amodal_rt.executors.workflow.walk import Done, NodeError, ParkedError, Visit


async def wait(run: WorkflowSession, visit: Visit, work: WaitWork) -> Done:
    """Gives `{waited_until}`. Raises ParkedError until then."""
    asked = visit.past.asked
    until = _until(run, visit, work) if asked is None else parse_iso(str(asked["until"]))
    if not visit.past.parked and until > run.acting.services.clock.now():
        await _park(run, visit, PendingReason.WAITING, until, {})
    return Done(value={"waited_until": iso(until)})


async def approve(run: WorkflowSession, visit: Visit, work: ApprovalWork) -> Done:
    """Gives `{approved, by, note}`. Raises ParkedError until somebody answers, or nobody did."""
    answer = visit.past.answer
    if answer is not None:
        approved = answer.get("approved") is True
        value = {"approved": approved, "by": answer.get("by"), "note": answer.get("note")}
        return Done(value=value, edge=_edge(visit, approved))
    asked = visit.past.asked
    if visit.past.parked:
        value = {"approved": False, "by": None, "note": "nobody answered in time"}
        return Done(value=value, edge=_edge(visit, approved=False))
    if asked is None:
        now = run.acting.services.clock.now()
        message = text_of(printed_value(work.message.value, visit.walk.scope()))
        until, facts = _whole(now + work.expires), {"message": message}
    else:
        until, facts = parse_iso(str(asked["until"])), {"message": str(asked.get("message"))}
    await _park(run, visit, PendingReason.AWAITING_APPROVAL, until, facts)
    raise AssertionError("unreachable")


def _edge(visit: Visit, approved: bool) -> str:
    if not approved:
        return "on_false"
    return "on_true" if visit.node.edges.on_true else "on_success"


def _until(run: WorkflowSession, visit: Visit, work: WaitWork) -> datetime:
    if work.duration is not None:
        return _whole(run.acting.services.clock.now() + work.duration)
    printed = printed_value(work.until.value if work.until else None, visit.walk.scope())
    try:
        return _whole(parse_iso(text_of(printed)))
    except ValueError:
        said = text_of(printed)[:60]
        raise NodeError(f"until: {said!r} is no ISO time with zone") from None


def _whole(instant: datetime) -> datetime:
    """As the ledger keeps it."""
    return from_millis(to_millis(instant))


async def _park(
    run: WorkflowSession,
    visit: Visit,
    reason: PendingReason,
    until: datetime,
    facts: Mapping[str, object],
) -> None:
    if visit.walk.bound:
        raise NodeError("a run cannot wait within a branch: others walk beside it")
    if visit.past.asked is None:
        data = {"node": visit.node.id, "reason": reason.value, "until": iso(until), **facts}
        walk = visit.walk
        await run.rows.post(EntryType.NODE_WAITING, visit.step, walk.parent, run.mask(data))
    await run.rows.settle()
    raise ParkedError(Waiting(reason=reason.value, until=until))
