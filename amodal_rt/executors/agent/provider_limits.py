"""A provider that was asked too much: its model is left alone, and the run waits outside a slot."""

from datetime import datetime, timedelta

from pydantic_ai.exceptions import (
    FallbackExceptionGroup,
    ModelAPIError,
    ModelHTTPError,
    ModelQuotaExceededError,
)

from amodal_rt.clock import iso
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Waiting
from amodal_rt.domain.run import PendingReason
from amodal_rt.executors.acting.session import Session
from amodal_rt.executors.agent.failures import PacedModelError, describe
from amodal_rt.guardrails.untrusted import plain_line

PATIENCE = timedelta(hours=1)
"""How long after its start a run still waits; then it fails, and what alerts it is told."""
_TOO_MUCH = frozenset({429, 529})


def asked_too_much(error: BaseException) -> bool:
    """Whether the provider may answer the same request later: a limit of its rate, or (Anthropic's
    529) too much from everybody. An empty account is none."""
    if isinstance(error, ModelQuotaExceededError) or not isinstance(error, ModelHTTPError):
        return False
    return error.status_code in _TOO_MUCH


def note_limit(session: Session, reference: str, error: BaseException) -> bool:
    """Leave the model alone for as long as its provider says, if that is what the error means."""
    if not isinstance(error, ModelAPIError) or not asked_too_much(error):
        return False
    session.services.pacing.slow(reference, seconds=error.retry_after)
    session.tally.limited.add(reference)
    return True


def refuse_paced(session: Session, reference: str) -> None:
    """Raise PacedModelError for a model that is left alone at the moment."""
    until = session.services.pacing.paused(reference)
    if until is not None:
        why = f"the model {reference} is over its provider's limit until {iso(until)}"
        session.tally.limited.add(reference)
        raise PacedModelError(reference, why)


async def wait_for_provider(session: Session, error: BaseException) -> Waiting | None:
    """Until when the run waits, on record; None where it ends by the error."""
    until = _until(session, error)
    run = session.context.run
    begun = run.started_at or run.created_at
    if until is None or until - begun > PATIENCE:
        return None
    line = plain_line(describe(error, session.mask), 300)
    note = f"{line}: the run waits until {iso(until)}, without a slot"
    await session.context.journal.record(EntryType.RUN_NOTE, data={"note": note})
    return Waiting(reason=PendingReason.WAITING, until=until)


def _until(session: Session, error: BaseException) -> datetime | None:
    """When the first of the models may be asked again that were asked too much."""
    inner: tuple[BaseException, ...] = (error,)
    if isinstance(error, FallbackExceptionGroup):
        inner = error.exceptions
    if not any(asked_too_much(each) or isinstance(each, PacedModelError) for each in inner):
        return None
    now = session.services.clock.now()
    found = (session.services.pacing.paused(each) for each in session.tally.limited)
    return min((each for each in found if each), default=now)
