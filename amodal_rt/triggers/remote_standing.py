"""How a trigger that an MCP server watches stands."""

from dataclasses import dataclass
from datetime import datetime

from amodal_rt.domain.remote_trigger import RemoteState, RemoteTrigger
from amodal_rt.triggers.registrations import Registration


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteStanding:
    """One trigger as a person sees it: `state` None while no attempt was made. `error` says why
    the newest attempt failed, `retry_at` when the next one is due."""

    registration: Registration
    state: RemoteState | None
    error: str | None = None
    configured_at: datetime | None = None
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What its server was told in this life of the daemon, and answered yes to."""

    registration: Registration
    url: str
    row: RemoteTrigger
    life: str | None
    at: float


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
