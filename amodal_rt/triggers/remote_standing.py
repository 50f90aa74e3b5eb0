"""How a trigger that an MCP server watches stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from amodal_rt.clock import Clock
from amodal_rt.domain.remote_trigger import RemoteState, RemoteTrigger
from amodal_rt.triggers.registrations import Registration

LOOK_SECONDS = 15.0
"""How often a server that ended, or a failure whose time has come, is looked for."""
FIRST_PAUSE_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStanding:
    """One trigger as a person sees it: `state` None while no attempt was made. `error` says why
    the newest attempt failed, `retry_at` when the next one is due. `remark` is what of it the
    server does not know although it watches."""

    registration: Registration
    state: RemoteState | None
    error: str | None = None
    configured_at: datetime | None = None
    retry_at: datetime | None = None
    remark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What its server was told in this life of the daemon, and answered yes to."""

    registration: Registration
    url: str
    row: RemoteTrigger
    life: str | None
    at: float
    remark: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What an attempt came to: `error` in words, and whether the server may have heard of it."""

    error: str
    ambiguous: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why the newest attempt came to nothing. `retry_at` None: only another file helps."""

    registration: Registration
    url: str
    error: str
    attempts: int
    retry_at: float | None
    due_at: datetime | None
    ambiguous: bool


def failed_again(
    before: Failure | None,
    registration: Registration,
    url: str,
    error: str,
    *,
    ambiguous: bool,
    clock: Clock,
) -> Failure:
    """After another attempt, and later and later from one to the next."""
    attempts = before.attempts + 1 if before else 1
    pause = min(FIRST_PAUSE_SECONDS * 2 ** min(attempts - 1, 20), LONGEST_PAUSE_SECONDS)
    for_good = registration.fault is not None
    return Failure(
        registration=registration,
        url=url,
        error=error,
        attempts=attempts,
        retry_at=None if for_good else clock.monotonic() + pause,
        due_at=None if for_good else clock.now() + timedelta(seconds=pause),
        ambiguous=ambiguous,
    )


def absent(registration: Registration, url: str, error: str, *, clock: Clock) -> Failure:
    """Without an attempt: its server is away, is looked for all the time, and told once it is
    back."""
    return Failure(
        registration=registration,
        url=url,
        error=error,
        attempts=0,
        retry_at=clock.monotonic(),
        due_at=clock.now() + timedelta(seconds=LOOK_SECONDS),
        ambiguous=False,
    )


def standing_of(
    registration: Registration,
    rows: Sequence[RemoteTrigger],
    *,
    failure: Failure | None,
    told: Told | None,
    has_address: bool,
) -> RemoteStanding:
    """How it stands, by what is on record for it, and by what became of the newest attempt."""
    kept = next((each for each in rows if not each.is_spare), None)
    if failure is not None:
        return RemoteStanding(
            registration=registration,
            state=RemoteState.AMBIGUOUS if failure.ambiguous else RemoteState.FAILED,
            error=failure.error,
            configured_at=kept.configured_at if kept else None,
            retry_at=failure.due_at,
        )
    row = told.row if told else kept or next(iter(rows), None)
    silent = "" if row or has_address else "the daemon has no address to be called at"
    return RemoteStanding(
        registration=registration,
        state=row.state if row else None,
        error=silent or None,
        configured_at=row.configured_at if row else None,
        remark=told.remark if told else None,
    )
