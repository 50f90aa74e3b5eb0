"""Runs and slots in the ledger."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from amodal_rt.domain.delivery import FailureState, Plan
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.profile import RunProfile
from amodal_rt.domain.records import ScheduleState
from amodal_rt.domain.run import Run, RunStatus, SkippedReason, Start
from amodal_rt.domain.wait import Wait
from amodal_rt.ports.audit import Act
from amodal_rt.ports.signals import Caller

MINIMUM_INTERVAL = timedelta(seconds=60)
"""Schedules are at least this far apart (specification §3)."""
MAXIMUM_DEPTH = 3
"""How deep a chain of events may go (specification §3)."""

IDEMPOTENT_FOR = timedelta(days=7)
"""How long a run keeps its idempotency key (specification §4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """What the ledger ruled about one wish for a run."""

    run_id: str
    automation: str
    status: RunStatus
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; None does not filter. `at` keeps runs whose slot, creation or
    execution covers that instant; `without` leaves out a status. `older_than` and `newer_than` are
    ids of runs, of which none is listed: of the newer ones, those come that are nearest."""

    automation: str | None = None
    status: RunStatus | None = None
    reason: str | None = None
    event_id: str | None = None
    at: datetime | None = None
    since: datetime | None = None
    without: RunStatus | None = None
    older_than: str | None = None
    newer_than: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The last completed run that may be told to the next one: untrusted text, its finish."""

    run_id: str
    summary: str
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptValue:
    """What stood on record of an automation's gate `at` an instant of the ledger's own clock:
    the value (canonical JSON) and the run that kept it, None where none did."""

    at: datetime
    value: str | None = None
    run_id: str | None = None


CanRun = Callable[[str, bool], bool]
"""Whether a node can execute a run of the automation of that name, or (True) a rehearsal of it.
Called in the ledger's thread, perhaps more than once for one name."""


class RunLedger(Protocol):
    """Runs from acceptance to outcome."""

    def expect(self, starts: Sequence[Start]) -> None:
        """Work out ahead what can be of slots that `admit` will be given as they are here. Nothing
        is written; what was expected of another instant is forgotten."""
        ...

    async def admit(self, starts: Sequence[Start], *, act: Act | None = None) -> list[RunRef]:
        """Rule on each start, in order, in one transaction with `act`; one ref per new row.

        A start with `skip` becomes a skipped row. A start with `on_limit` SKIP whose automation
        has `concurrency` runs that run or wait for a slot alone becomes
        `skipped/concurrency_limit`: a run that is parked, or whose `not_before` comes after the
        start's `created_at`, holds no slot and wants none; one over `starts_per_hour` becomes
        `skipped/rate_limit`, where starts of a clock that was ahead (`clock.AHEAD`) do not count;
        any other is pending.
        A start with `scheduled_for` takes the slot (automation, scheduled_for): a slot
        already taken adds no row and gives no ref. Neither do then the later starts of the
        same `schedule_key` in this call, up to what the schedule had on record; all of them,
        where the slot begins a stretch (`scheduled_until`): who asked did not know what was
        ruled on before. A skipped slot that directly follows a skipped row of the same
        schedule, definition, reason and rule extends that row (`scheduled_until`, `count`)
        instead of adding one, and the ref names that row; not over a slot of the schedule
        that another row stands for.

        A start with an `idempotency_key` that a run of the automation took within
        `IDEMPOTENT_FOR` (no skipped one) becomes `skipped/duplicate`; the rule names that run.
        One with an `order_key` below that of a run of its automation and conversation that has
        started becomes `skipped/stale`. One with `coalesce` waits for `window`, but not past
        `longest` from the first of its kind, and pending runs of its automation and coalesce key
        that never started become `skipped/coalesced`; how many there were, theirs included, is
        its `superseded`. They use up none of the limits that it is judged by. Where one of them
        has a higher `order_key`, that one stays, counts it, and the start is `skipped/coalesced`.
        """
        ...

    async def claim(
        self, *, limit: int, overall: int, now: datetime, can_run: CanRun | None = None
    ) -> list[Run]:
        """Turn up to `limit` pending runs into running ones, oldest first, and return them.

        No run is claimed twice, and never so many that more than `overall` run at once on all
        nodes together. Skips runs whose automation has `concurrency` running runs, whose
        `not_before` is in the future, or whose conversation key has a running run, and parked
        ones that wait for an answer alone. Of one automation's conversation, the pending run of
        the lowest `order_key` goes first (among equals, the oldest), and while that one is not
        due, no other with a key; those without go by their age. A parked run keeps nobody
        waiting until it is due.
        What this node cannot run (`can_run`) stays pending, for another node or for later; only
        of automations of which a run would start now is it asked. Sets `started_at` on the first
        attempt, takes the `reason` away, names this node as the run's `node` and raises `term`.
        """
        ...

    async def next_claimable_at(self) -> datetime | None:
        """The earliest `not_before` of a pending run that waits for time alone, or None."""
        ...

    async def held_back(
        self, *, overall: int, now: datetime, can_run: CanRun | None = None
    ) -> list[RunRef]:
        """The pending runs, oldest first, that could start now but for `overall`: what waits for
        its own automation, its conversation or its time is not among them, nor what this node
        cannot run or ever started, nor what a free slot is there for. A limit of its automation
        that is no lower than `overall` holds nothing up."""
        ...

    async def waits(
        self,
        run_ids: Sequence[str],
        *,
        overall: int,
        now: datetime,
        can_run: CanRun | None = None,
    ) -> Mapping[str, Wait]:
        """What each of these runs that is pending waits for, as `claim` would find it now: it is
        parked (`reason` is set), perhaps `until` an instant; this node cannot run it; it may still
        become one with a later start, or is not due, `until` then; a run of its conversation
        goes first; as many of its automation go first as may run at once, fewer than `overall`;
        `overall` alone keeps it; nothing but the next claim."""
        ...

    async def expire(self, run_ids: Sequence[str], *, at: datetime) -> list[RunRef]:
        """Skip as `global_limit` those of these runs that are pending and never started. None
        of them by a node that was retired."""
        ...

    async def bind(
        self, run_id: str, *, term: int, definition: str, profile: RunProfile | None = None
    ) -> None:
        """Name the definition version that a claimed run executes, and the profile that it
        executes in. One that it has on record already stays."""
        ...

    async def finish(
        self,
        run: Run,
        outcome: Outcome,
        *,
        at: datetime,
        plan: Callable[[FailureState], Plan],
        retry_at: datetime | None = None,
    ) -> bool:
        """Write the outcome, what it owes and a `run.finished` entry, in one transaction.

        `plan` is pure and is called with the automation's failure state *after* this
        outcome was counted. With `retry_at` the run goes back to pending with `attempt`
        raised, owes nothing and counts no failure. A skipped outcome owes nothing, counts
        nothing, is not tried again and leaves no `started_at`; its `error` becomes the run's
        `rule`. A completed run takes the `reason` of the plan, and what its gate saw becomes the
        automation's `gate_value`, unless it was a rehearsal, or another run has kept a value
        since this one began to read that is not surely older: read before `gate.since`. The
        events of the plan are stored as `BusLedger.emit` does, those that are there already left
        alone. False, and nothing written, when the run is no longer running under `run.term`.
        """
        ...

    async def park(self, run: Run, waiting: Waiting, *, at: datetime) -> bool:
        """Back to pending with a reason, outside any slot, until `waiting.until` or an answer;
        then it continues its journal in the same attempt: `resumes` is raised, and a `run.waiting`
        entry `{reason, until}` says so. False as for `finish`."""
        ...

    async def answer(
        self,
        run_id: str,
        *,
        step: str,
        data: Mapping[str, object],
        at: datetime,
        caller: Caller | None = None,
    ) -> bool:
        """Give a run that is `awaiting_approval` at that step its answer, `{approved, by, note}`:
        an `approval.answered` entry in its journal, and of its `caller` a row in the audit trail,
        and it is due. False, and nothing written,
        where no such question is open, or any more. Raises NotFoundError."""
        ...

    async def cancel(self, run_id: str, *, caller: Caller, at: datetime) -> RunStatus:
        """End a pending run as cancelled, with an audit row. Returns the status found before.

        A running run is only asked to end (`cancels_asked`): the supervisor of the node
        that carries it ends it; that is in the audit trail too. Raises NotFoundError.
        """
        ...

    async def cancels_asked(self) -> list[str]:
        """Ids of the runs that this node carries and that somebody asked to end."""
        ...

    async def cancel_pending(
        self, automation: str, *, rule: str, caller: Caller, at: datetime
    ) -> list[str]:
        """End all pending runs of an automation as cancelled; returns their ids."""
        ...

    async def skip_pending(
        self, run_id: str, *, reason: SkippedReason, rule: str, at: datetime
    ) -> bool:
        """End one pending run as skipped; False when it is no longer pending."""
        ...

    async def take_orphans(self, *, carried: Collection[str] | None = None) -> list[Run]:
        """Running runs whose node is gone, oldest first, from now on this node's.

        Their `term` is raised: nothing of the former node's can write about them any more.
        Two nodes never take the same one. Runs that this node took over and that are
        running still are not among them, but those of a former life of this node are. With
        `carried`, the ids of all runs that this node knows to be its own, so are those that
        it has without knowing: the answer to its claim was lost.
        """
        ...

    async def requeue(self, run: Run, *, at: datetime) -> bool:
        """A running run that did nothing yet goes back to pending with `attempt` raised.
        False as for `finish`."""
        ...

    async def resume(self, run: Run, *, at: datetime) -> bool:
        """A running run goes back to pending to continue its journal: `attempt` and
        `resumes` are raised, and a `run.resumed` entry says so. False as for `finish`."""
        ...

    async def find_run(self, run_id: str) -> Run | None:
        """One run, or None."""
        ...

    async def find_keyed(self, automation: str, key: str, *, now: datetime) -> Run | None:
        """The run of the automation, no skipped one, that took the idempotency key within
        `IDEMPOTENT_FOR` before `now`; the first of several, None where none did."""
        ...

    async def foretell(self, start: Start) -> tuple[SkippedReason, str | None] | None:
        """What `admit` would say now of a start without `scheduled_for`: the reason that it would
        be skipped for, and the rule; None where it would be pending. Nothing is written."""
        ...

    async def list_runs(self, wanted: RunFilter) -> list[Run]:
        """Newest first, with everything but the journal."""
        ...

    async def last_runs(self) -> Mapping[str, Run]:
        """The newest run of each automation that is not skipped."""
        ...

    async def recent_ends(
        self, automations: Sequence[str], *, limit: int
    ) -> Mapping[str, Sequence[RunStatus]]:
        """How the newest runs of each automation that completed or failed ended, newest first, at
        most `limit` of them; one without any is absent."""
        ...

    async def previous(self, automation: str, conversation_key: str | None) -> Previous | None:
        """The last completed run whose model was not the rehearsal."""
        ...

    async def gate_value(self, automation: str) -> KeptValue:
        """What the gate of the automation saw in the run that completed and read last."""
        ...

    async def writes_since(
        self, automation: str, since: datetime, *, until: datetime | None = None
    ) -> int:
        """How many writes the automation's runs have started since then, up to `until`."""
        ...


class ScheduleLedger(Protocol):
    """The truth about slots; the clock library only wakes us."""

    async def schedule_states(self) -> list[ScheduleState]:
        """All of them."""
        ...

    async def set_schedule_states(self, states: Sequence[ScheduleState]) -> None:
        """Insert or replace by (automation, key)."""
        ...

    async def slots_on_record(
        self, after: Mapping[str, datetime], *, until: datetime
    ) -> Mapping[str, Sequence[datetime]]:
        """Slots of these automations that stand on record each by itself, in order, by
        automation: later than the instant that `after` has for it, up to `until`. One without any
        is absent, and so is one with a stretch in that time: by name only its ends are slots,
        and what follows from it `admit` rules."""
        ...

    async def remove_schedules(self, automation: str, keep: Sequence[str] = ()) -> None:
        """Forget the schedules of an automation other than `keep`."""
        ...


class WaitLedger(Protocol):
    """Instants that runs and messages wait for."""

    async def shorten_waits(
        self, *, now: datetime, pauses: Sequence[timedelta], kept: timedelta, seen: bool
    ) -> int:
        """Believe no instant that only a clock which was ahead could have set; how many runs
        and messages are due sooner.

        A run that was put back to wait at an instant that lies ahead of `now` (`clock.AHEAD`)
        waits as long as it was to, but from `now`. A condition that began, or ended, ahead of
        `now` did so at `now`. Where the clock was `seen` to be set back,
        or the newest runs and messages were made ahead of `now`, no message waits longer than
        the longest of `pauses` after as many attempts (since somebody asked for it anew; the
        last stands for all that follow), and none expires later than `kept` from `now`.
        """
        ...
