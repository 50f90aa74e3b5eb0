"""From how an execution ended to the outcome that goes on record."""

from collections.abc import Callable
from datetime import datetime, timedelta

from amodal_rt.domain.automation import Definition, Retry
from amodal_rt.domain.models import REHEARSAL
from amodal_rt.domain.outcome import Outcome, failed
from amodal_rt.domain.run import FailedReason, Run, RunStatus
from amodal_rt.engine.supervisor import Stop
from amodal_rt.errors import AmodalError

_LONGEST_BACKOFF = timedelta(hours=1)
_ERROR_LENGTH = 500


def stopped(why: Stop, timeout: timedelta) -> Outcome:
    """The outcome of an execution that was ended from outside."""
    if why is Stop.CANCELLED:
        return Outcome(status=RunStatus.CANCELLED, error="cancelled by a person")
    if why is Stop.INTERRUPTED:
        return failed(FailedReason.INTERRUPTED, "the daemon stopped in the middle of the run")
    seconds = timeout.total_seconds()
    return failed(FailedReason.TIMED_OUT, f"not finished after limits.timeoutSeconds {seconds:g}")


def raised(error: BaseException, mask: Callable[[str], str]) -> Outcome:
    """The outcome of an execution that raised: one line, without secrets."""
    if isinstance(error, AmodalError):
        text = error.message
    else:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    line = " ".join(mask(text).split())
    return failed(FailedReason.ERROR, line[:_ERROR_LENGTH])


def retry_at(
    run: Run,
    outcome: Outcome,
    definition: Definition | None,
    *,
    tries: int,
    wrote: bool,
    now: datetime,
) -> datetime | None:
    """When the run is tried again, or None when it is over.

    `tries` counts how often it began afresh: an attempt that went on from the journal after a
    crash is none. Never after a write unless the file allows it: what was written would be
    written twice. Nor is a fault of its start tried again, nor what lasts: it would say the same.
    """
    if definition is None or outcome.status is not RunStatus.FAILED:
        return None
    retry = definition.automation.retry
    over = tries > retry.attempts or run.fault is not None
    if over or run.rehearse or outcome.model == REHEARSAL:
        return None
    if outcome.reason == FailedReason.INTERRUPTED or outcome.lasting:
        return None
    if (wrote or outcome.wrote) and not retry.after_writes:
        return None
    return now + _backoff(retry, tries)


def _backoff(retry: Retry, attempt: int) -> timedelta:
    return min(retry.backoff * 2 ** (attempt - 1), max(_LONGEST_BACKOFF, retry.backoff))
