"""The audit trail as people read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailFilter:
    """Which rows are meant: all that is given must hold. `automation` and `run_id` also find what
    was done to their runs."""

    since: datetime | None = None
    run_id: str | None = None
    automation: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailRow:
    """Who did what through which door; of a run's own writes its automation, through `run`.

    `run_id` and `automation` are None where the row is about neither; `step` names the entry of
    the run's journal.
    """

    at: datetime
    action: str
    subject: str
    actor: str
    door: str
    run_id: str | None = None
    automation: str | None = None
    step: str | None = None
    data: Mapping[str, object] = field(default_factory=dict[str, object])
