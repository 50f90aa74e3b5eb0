"""A run: one execution of one automation, from acceptance to its one outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from amodal_rt.domain.automation import OnLimit
from amodal_rt.domain.profile import RunProfile
from amodal_rt.domain.trigger import TriggerKind
from amodal_rt.errors import ConflictError


class RunStatus(StrEnum):
    """The six statuses of a run."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


OPEN = frozenset({RunStatus.PENDING, RunStatus.RUNNING})
"""Statuses that something still follows."""


class FailedReason(StrEnum):
    """Why a run failed."""

    ERROR = "error"
    TIMED_OUT = "timed_out"
    MAX_TURNS = "max_turns"
    BUDGET_EXCEEDED = "budget_exceeded"
    INTERRUPTED = "interrupted"
    INVALID_OUTPUT = "invalid_output"


class PendingReason(StrEnum):
    """What a run that holds no slot waits for."""

    WAITING = "waiting"
    AWAITING_APPROVAL = "awaiting_approval"


class SkippedReason(StrEnum):
    """Why a run was never started."""

    PAUSED = "paused"
    CONCURRENCY_LIMIT = "concurrency_limit"
    GLOBAL_LIMIT = "global_limit"
    RATE_LIMIT = "rate_limit"
    DEPTH_LIMIT = "depth_limit"
    OWN_EVENT = "own_event"
    DUPLICATE = "duplicate"
    MISSED = "missed"
    FILTERED = "filtered"
    CREATOR_INVALID = "creator_invalid"
    STALE = "stale"
    COALESCED = "coalesced"


_NEXT: Mapping[RunStatus, frozenset[RunStatus]] = {
    RunStatus.PENDING: frozenset(
        {RunStatus.RUNNING, RunStatus.CANCELLED, RunStatus.SKIPPED, RunStatus.FAILED}
    ),
    # Back to pending: a retry by rule, or a resume after a crash; both raise `attempt`.
    # Skipped: the gate was asked in the run's own slot, before anything else was done.
    RunStatus.RUNNING: frozenset(
        {
            RunStatus.PENDING,
            RunStatus.COMPLETED,
            RunStatus.FAILED,
            RunStatus.CANCELLED,
            RunStatus.SKIPPED,
        }
    ),
    RunStatus.COMPLETED: frozenset(),
    RunStatus.FAILED: frozenset(),
    RunStatus.CANCELLED: frozenset(),
    RunStatus.SKIPPED: frozenset(),
}


def may_follow(before: RunStatus, after: RunStatus) -> bool:
    """Whether a run in `before` may become `after`."""
    return after in _NEXT[before]


def require_next(before: RunStatus, after: RunStatus) -> None:
    """Raise ConflictError (`run_state`) unless `after` may follow `before`."""
    if not may_follow(before, after):
        raise ConflictError(f"a {before} run cannot become {after}", code="run_state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run consumed. `cost_usd` is None where no price is known."""

    input_tokens: int = 0
    output_tokens: int = 0
    turns: int = 0
    cost_usd: float | None = None

    def __add__(self, more: "Usage") -> "Usage":
        """Both together; of the costs, those that are known."""
        costs = [cost for cost in (self.cost_usd, more.cost_usd) if cost is not None]
        return Usage(
            input_tokens=self.input_tokens + more.input_tokens,
            output_tokens=self.output_tokens + more.output_tokens,
            turns=self.turns + more.turns,
            cost_usd=sum(costs) if costs else None,
        )

    def document(self) -> dict[str, object]:
        """The shape of `usage` in every run document."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": self.cost_usd,
            "turns": self.turns,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Coalesce:
    """Of the starts of one `key` that follow each other within `window`, the newest runs (the one
    of the highest `order_key`); the first of them waits no longer than `longest`."""

    key: str
    window: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A wish for one run, before the ledger has ruled on it.

    `skip` and `rule` are set when it was already ruled out (paused, filtered …);
    otherwise the ledger admits it as pending, or skips it by `on_limit` and
    `starts_per_hour`. `rule` names the deciding rule in words (`limits.concurrency 3`).
    `scheduled_for` to `scheduled_until` and `count` cover consecutive skipped slots.

    Of one `conversation_key`, starts run one after another in the order of `order_key` (texts
    that sort). One `idempotency_key` starts one run in seven days. `coalesce` makes it one with
    others that wait. `fault` says why it can only fail (a template that prints nothing): it is
    admitted, and fails when its turn comes, so that it counts and is told of.
    """

    run_id: str
    automation: str
    title: str
    trigger: TriggerKind
    definition: str
    created_at: datetime
    concurrency: int
    on_limit: OnLimit
    starts_per_hour: int | None = None
    event_id: str | None = None
    payload: object = None
    scheduled_for: datetime | None = None
    scheduled_until: datetime | None = None
    schedule_key: str | None = None
    count: int = 1
    depth: int = 0
    requester: str | None = None
    actor: str | None = None
    door: str | None = None
    conversation_key: str | None = None
    order_key: str | None = None
    idempotency_key: str | None = None
    coalesce: Coalesce | None = None
    fault: str | None = None
    rehearse: bool = False
    skip: SkippedReason | None = None
    rule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A row of the ledger.

    `reason` qualifies `status`; `error` is one line for people, without secrets. `attempt`
    counts from 1, `resumes` how often it went on from its journal, after a crash, which is an
    attempt, or a wait, which is none; `term` fences writers; `node` is the daemon that runs it, or
    ran it last. `superseded` counts the starts that became one with it; `fault` says why it can
    only fail; `profile` is the one that it began in. `payload` is what the run was started with
    (`{"scheduled_at": …}` for a slot); the event's data is found by `event_id`.
    """

    run_id: str
    automation: str
    title: str
    trigger: TriggerKind
    status: RunStatus
    definition: str
    created_at: datetime
    reason: str | None = None
    rule: str | None = None
    error: str | None = None
    event_id: str | None = None
    payload: object = None
    scheduled_for: datetime | None = None
    scheduled_until: datetime | None = None
    schedule_key: str | None = None
    count: int = 1
    depth: int = 0
    attempt: int = 1
    term: int = 0
    requester: str | None = None
    actor: str | None = None
    door: str | None = None
    conversation_key: str | None = None
    order_key: str | None = None
    idempotency_key: str | None = None
    coalesce_key: str | None = None
    superseded: int = 0
    fault: str | None = None
    profile: RunProfile | None = None
    rehearse: bool = False
    node: str | None = None
    resumes: int = 0
    not_before: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    result_text: str | None = None
    result_payload: object = None
    output: tuple[str, ...] = ()

    @property
    def duration(self) -> timedelta | None:
        """From start to finish; None while either is missing."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at
