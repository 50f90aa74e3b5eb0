"""What the rooms need from outside their walls, with full contracts.

The middle rooms never import each other: they meet here and in the ledger. Every sentence
below is tested by the contract suite on every implementation. All ledger methods are
durable when they return: what was acknowledged survives a crash of the process.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.breaker import Breaker
from amodal_rt.domain.condition import Condition, Ruling
from amodal_rt.domain.delivery import (
    Attempt,
    DeliveryRecord,
    DeliveryStatus,
    FailureState,
    MessageKind,
    Plan,
)
from amodal_rt.domain.event import DedupKey, Event, Rejection
from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.node import NodeRecord
from amodal_rt.domain.outcome import Outcome, Waiting
from amodal_rt.domain.records import ArchivedDefinition, ScheduleState, StoreItem
from amodal_rt.domain.run import Run, RunStatus, SkippedReason, Start
from amodal_rt.domain.workspace import Snapshot, WorkspaceSettings
from amodal_rt.settings import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and through which door (`cli`, `webhook`, `cron`, `api`, `mcp`, `dashboard`)."""

    actor: str
    door: str


class Signals(Protocol):
    """Wake-ups inside one process. A lost or spurious wake-up never loses a fact:
    every waiter looks at the ledger again."""

    def notify(self, topic: str) -> None:
        """Wake everything that waits for `topic` now. Callable from the event loop only."""
        ...

    def listen(self, topic: str) -> "AbstractContextManager[Callable[[], Awaitable[None]]]":
        """Begin to listen; the value waits for the next notification since the last wait.

        A notification between entering the block and waiting is not lost.
        """
        ...


RUNS_PENDING = "runs.pending"
"""Topic: a run may have become claimable."""
OUTBOX = "outbox"
"""Topic: a message may have become due."""
SNAPSHOT = "workspace.snapshot"
"""Topic: the workspace was read again."""
FACTS = "facts"
"""Topic: an automation was paused, resumed or rotated."""
QUEUE_FULL = "queue.full"
"""Topic: an event was refused because too many runs wait."""


def journal_topic(run_id: str) -> str:
    """Topic: the journal of `run_id` grew, or the run ended."""
    return f"journal.{run_id}"


class Catalogue(Protocol):
    """The current reading of the workspace."""

    def snapshot(self) -> Snapshot:
        """The newest complete snapshot; never half of a reload."""
        ...

    def environment(self) -> Environment:
        """The variables that definitions may use, as last read."""
        ...


class VersionedCatalogue(Catalogue, Protocol):
    """The workspace with what it was."""

    async def find_version(self, name: str, hash: str) -> Definition | None:
        """A version of the automation that was live once, by its hash; its named targets are
        those of now. None when it is not kept, or cannot be read any more."""
        ...


class Versions(Protocol):
    """What automations were."""

    async def versions(self, name: str) -> Sequence[Definition]:
        """All versions of the automation that are kept and can be read, the newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRef:
    """What the ledger ruled about one wish for a run."""

    run_id: str
    automation: str
    status: RunStatus
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The ledger's answer to an event. For a duplicate: the first one's event and runs."""

    event_id: str
    duplicate: bool
    runs: tuple[RunRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """A stored event with the runs that it led to. `missed` counts automations that it
    did not match."""

    event: Event
    missed: int
    runs: tuple[RunRef, ...]


class EventLedger(Protocol):
    """Events, their duplicates and what was refused."""

    async def accept(
        self,
        event: Event,
        *,
        dedup: DedupKey | None,
        starts: Sequence[Start],
        missed: int = 0,
        queue_limit: int,
    ) -> Receipt:
        """Store the event and rule on its starts, in one transaction.

        When any key of `dedup` was seen on that endpoint within seven days, nothing is
        written and the receipt names the first event and its runs. Two concurrent
        deliveries of one key yield one event. Raises UnavailableError: `queue_full` when
        `queue_limit` runs are pending, `ledger` when nothing can be made durable.
        """
        ...

    async def reject(self, rejection: Rejection) -> None:
        """Count and remember a refused request; the newest hundred per endpoint are kept."""
        ...

    async def find_event(self, event_id: str) -> EventRecord | None:
        """One event, or None."""
        ...

    async def list_events(
        self, *, limit: int, automation: str | None = None, delivery_id: str | None = None
    ) -> list[EventRecord]:
        """Newest first: those that were addressed to `automation` or led to a run of it, and
        those that their sender called `delivery_id`."""
        ...

    async def list_rejections(self, *, limit: int) -> list[Rejection]:
        """Newest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs to list; None does not filter. `at` keeps runs whose slot, creation or
    execution covers that instant."""

    automation: str | None = None
    status: RunStatus | None = None
    event_id: str | None = None
    at: datetime | None = None
    since: datetime | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The last completed run that may be told to the next one: untrusted text, its finish."""

    run_id: str
    summary: str
    finished_at: datetime


CanRun = Callable[[str, bool], bool]
"""Whether a node can execute a run of the automation of that name, or (True) a rehearsal of it.
Called in the ledger's thread, perhaps more than once for one name."""


class RunLedger(Protocol):
    """Runs from acceptance to outcome."""

    async def admit(self, starts: Sequence[Start]) -> list[RunRef]:
        """Rule on each start, in order, in one transaction; one ref per new row.

        A start with `skip` becomes a skipped row. A start whose automation has
        `concurrency` open runs and `on_limit` SKIP becomes `skipped/concurrency_limit`;
        one over `starts_per_hour` becomes `skipped/rate_limit`, where starts of a clock that
        was ahead (`clock.AHEAD`) do not count; any other is pending.
        A start with `scheduled_for` takes the slot (automation, scheduled_for): a slot
        already taken adds no row and gives no ref. Neither do then the later starts of the
        same `schedule_key` in this call, up to what the schedule had on record; all of them,
        where the slot begins a stretch (`scheduled_until`): who asked did not know what was
        ruled on before. A skipped slot that directly follows a skipped row of the same
        schedule, definition, reason and rule extends that row (`scheduled_until`, `count`)
        instead of adding one, and the ref names that row.
        """
        ...

    async def claim(
        self, *, limit: int, overall: int, now: datetime, can_run: CanRun | None = None
    ) -> list[Run]:
        """Turn up to `limit` pending runs into running ones, oldest first, and return them.

        No run is claimed twice, and never so many that more than `overall` run at once on
        all nodes together. Skips runs whose automation has `concurrency` running runs,
        whose `not_before` is in the future, or whose conversation key has a running run.
        What this node cannot run (`can_run`) stays pending, for another node or for later.
        Sets `started_at` on the first attempt, names this node as the run's `node` and
        raises `term`.
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
        cannot run or ever started, nor what a free slot is there for."""
        ...

    async def expire(self, run_ids: Sequence[str], *, at: datetime) -> list[RunRef]:
        """Skip as `global_limit` those of these runs that are pending and never started. None
        of them by a node that was retired."""
        ...

    async def bind(self, run_id: str, *, term: int, definition: str) -> None:
        """Name the definition version that a claimed run executes."""
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
        raised, owes nothing and counts no failure. False, and nothing written, when the
        run is no longer running under `run.term`.
        """
        ...

    async def park(self, run: Run, waiting: Waiting, *, at: datetime) -> bool:
        """Back to pending with a reason, outside any slot. False as for `finish`."""
        ...

    async def cancel(self, run_id: str, *, caller: Caller, at: datetime) -> RunStatus:
        """End a pending run as cancelled. Returns the status found before.

        A running run is only asked to end (`cancels_asked`): the supervisor of the node
        that carries it ends it. Raises NotFoundError.
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

    async def list_runs(self, wanted: RunFilter) -> list[Run]:
        """Newest first, with everything but the journal."""
        ...

    async def last_runs(self) -> Mapping[str, Run]:
        """The newest run of each automation that is not skipped."""
        ...

    async def previous(self, automation: str, conversation_key: str | None) -> Previous | None:
        """The last completed run whose model was not the rehearsal."""
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

    async def remove_schedules(self, automation: str, keep: Sequence[str] = ()) -> None:
        """Forget the schedules of an automation other than `keep`."""
        ...


class JournalLedger(Protocol):
    """The steps of runs."""

    async def record(
        self,
        run_id: str,
        type: EntryType,
        *,
        at: datetime,
        attempt: int = 1,
        step: str | None = None,
        parent: str | None = None,
        data: Mapping[str, object] | None = None,
        term: int | None = None,
    ) -> int:
        """Append one entry; returns its sequence: 1, 2, 3 … without a gap within the run.

        With `term`, raises ConflictError (`fenced`) and writes nothing unless the run is
        running under it. Raises NotFoundError for a run that is not there.
        """
        ...

    async def entries(self, run_id: str, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Entries with a greater sequence, in order."""
        ...


class Outbox(Protocol):
    """Messages owed."""

    async def claim_messages(self, *, limit: int, now: datetime) -> list[DeliveryRecord]:
        """Take up to `limit` due messages for sending, oldest due first; none twice.

        Messages past `expires_at` become `expired` and are not returned; those of rehearsals
        become `suppressed`. Due messages to a target whose breaker holds are not returned
        either: they wait until it lets a trial through (`next_attempt_at`, at the latest
        `expires_at`; `last_error` says so) and no attempt is counted. Once its pause is over
        one message is, as its trial. What is due for a disabled target becomes `dead`,
        likewise without an attempt.
        """
        ...

    async def next_due_at(self) -> datetime | None:
        """When the next pending message is due, or None."""
        ...

    async def record_attempt(self, attempt: Attempt) -> None:
        """Count the attempt and set what follows. Ignored for a message that is settled, or
        that another node has claimed since.

        A delivered failure alert sets what its target was told of the automation
        (`Told.alerted_at`); a delivered recovery clears `alerting` there. In the same
        transaction the target's breaker follows (`breaker.after`).

        A *result* that became `dead` or `expired`, here or while claiming, counts one failure
        on its automation. Every message that did so, of whatever kind but a rehearsal's, is
        listed by `given_up` until `follow_up`.
        """
        ...

    async def release_claims(self, *, sending: Collection[str] | None = None) -> int:
        """Messages left `sending` by nodes that are gone are due again; with `sending`, the
        ids of all that this node knows to send, so are its others: the answer to its claim was
        lost. Returns how many."""
        ...

    async def retry_message(self, delivery_id: str, *, at: datetime, expires_at: datetime) -> None:
        """Make a dead, expired or suppressed message due now, and forget its target's breaker.
        Its `tries` count anew.

        Raises NotFoundError, or ConflictError (`delivered`) for one that arrived.
        """
        ...

    async def retry_messages(
        self, *, since: datetime, at: datetime, expires_at: datetime, label: str | None = None
    ) -> list[str]:
        """`retry_message` for all that became dead or expired at `since` or later, oldest first,
        of targets with that label only. Returns their ids."""
        ...

    async def given_up(self, *, limit: int) -> list[DeliveryRecord]:
        """Messages that became dead or expired and that nothing has followed yet, oldest first."""
        ...

    async def follow_up(self, delivery_id: str, plan: Callable[[FailureState], Plan]) -> Plan:
        """Commit what a given-up message owes, once: `plan` is pure and is told the failure
        state of its automation. Called again, by whatever node, it writes nothing and returns
        an empty plan, as for a message that is not given up or not there."""
        ...

    async def has_delivered(
        self, since: datetime, *, automation: str | None = None, target: str | None = None
    ) -> bool:
        """Whether a message arrived at `since` or later, at the target of that key if one is
        named. With `automation`: a result of it, and none was given up after that."""
        ...

    async def find_message(self, delivery_id: str) -> DeliveryRecord | None:
        """One message, or None."""
        ...

    async def list_messages(
        self,
        *,
        limit: int,
        status: DeliveryStatus | None = None,
        run_ids: Sequence[str] | None = None,
        kind: MessageKind | None = None,
    ) -> list[DeliveryRecord]:
        """Newest first."""
        ...

    async def failure_state(self, automation: str) -> FailureState:
        """The counter as it stands."""
        ...

    async def owe(self, automation: str, plan: Callable[[FailureState], Plan]) -> Plan:
        """Commit what `plan` says the current state owes (after a dead letter)."""
        ...


class BreakerLedger(Protocol):
    """Which targets failed lately; the same for all nodes. `record_attempt` moves them."""

    async def breakers(self) -> list[Breaker]:
        """All of them, by key."""
        ...

    async def forget_breaker(self, target: str) -> bool:
        """Take the target for well again, and make due now what waits for it. False when it
        has no breaker."""
        ...


class ConditionLedger(Protocol):
    """What is wrong with the workspace as a whole, once for all nodes."""

    async def conditions(self) -> list[Condition]:
        """Those that stand, oldest first."""
        ...

    async def find_condition(self, key: str) -> Condition | None:
        """How it stands or stood last, or None."""
        ...

    async def rule_on_condition(
        self, key: str, rule: Callable[[Condition | None], Ruling | None]
    ) -> Ruling | None:
        """Keep what `rule` says of the condition as it is known, and owe the messages of the
        ruling, in one transaction. `rule` is pure; None changes nothing."""
        ...

    async def count_pending(self) -> int:
        """How many runs are pending."""
        ...

    async def prove_writable(self, at: datetime) -> None:
        """Commit something small. Raises UnavailableError when nothing can be made durable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationFacts:
    """What the ledger knows of an automation beside its file."""

    name: str
    paused: bool = False
    paused_reason: str | None = None
    paused_at: datetime | None = None
    resumed_at: datetime | None = None
    rotation: int = 0


class FactLedger(Protocol):
    """Small facts, and who changed them."""

    async def automation_facts(self) -> Mapping[str, AutomationFacts]:
        """By stem; automations without facts are absent."""
        ...

    async def set_paused(
        self, name: str, *, paused: bool, reason: str | None, caller: Caller, at: datetime
    ) -> AutomationFacts:
        """Pause or resume, with an audit row, and cancel pending runs when pausing."""
        ...

    async def rotate(self, name: str, *, caller: Caller, at: datetime) -> AutomationFacts:
        """Count one more rotation of its webhook URL, with an audit row."""
        ...

    async def fact(self, key: str) -> str | None:
        """A single value (`webhook_key` …)."""
        ...

    async def set_fact(self, key: str, value: str) -> str:
        """Keep `value` unless one is there; returns the one that stands."""
        ...

    async def audit(
        self, action: str, *, subject: str, caller: Caller, at: datetime, data: Mapping[str, object]
    ) -> None:
        """Append to the audit trail."""
        ...


class DefinitionArchive(Protocol):
    """Every version of a definition that was ever live, by hash."""

    async def record_live(self, versions: Sequence[ArchivedDefinition]) -> None:
        """Keep the versions and mark each as the live one of its kind and name."""
        ...

    async def live(self) -> list[ArchivedDefinition]:
        """The version of each kind and name that was live last."""
        ...

    async def forget_live(self, kind: str, name: str) -> None:
        """The file is gone: keep the version, but nothing is live under that name."""
        ...

    async def find_definition(
        self, hash: str, *, kind: str | None = None, name: str | None = None
    ) -> ArchivedDefinition | None:
        """One version, or None. Several names may have one text: without `kind` and `name`,
        the one that was recorded last."""
        ...

    async def versions_of(
        self, kind: str, name: str, *, limit: int = 100
    ) -> list[ArchivedDefinition]:
        """The versions of one kind and name, those first that were recorded last."""
        ...


class StoreLedger(Protocol):
    """Typed collections that outlive a run."""

    async def put(
        self,
        store: str,
        item: StoreItem,
        *,
        expires_at: datetime | None,
        step: str | None,
        term: int | None = None,
    ) -> None:
        """Insert or replace by key, together with a `store.written` entry in the run's journal.

        With `term`, raises ConflictError (`fenced`) and writes nothing unless the item's run
        is running under it.
        """
        ...

    async def query(
        self,
        store: str,
        *,
        now: datetime,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
        limit: int = 100,
    ) -> list[StoreItem]:
        """Newest first, without what has expired. `where` wants equality of top-level keys."""
        ...

    async def count_items(self) -> Mapping[str, int]:
        """How many values each store holds."""
        ...


LAPSED = timedelta(minutes=1)
"""How long a node whose lease ended unseen still counts as one that holds what it said."""


class NodeLedger(Protocol):
    """Which daemons live. Leases count by the database's clock, so that the clocks of the
    nodes need not agree."""

    @property
    def node_id(self) -> str:
        """The life under which this ledger claims."""
        ...

    async def join(self, *, host: str, pid: int, version: str, lease: timedelta) -> str:
        """Begin a life, under a fresh id from now on; returns it.

        Over a ledger that only one process can hold, every other node is retired with it.
        """
        ...

    async def renew(self, *, lease: timedelta) -> bool:
        """Extend the lease of this life; False when it was retired: it must claim and write
        nothing more and join anew."""
        ...

    async def leave(self) -> None:
        """End this life; what it still carries is an orphan at once."""
        ...

    async def retire_lapsed(self) -> list[str]:
        """Retire the nodes whose lease has ended; returns their ids. Never this one."""
        ...

    async def list_nodes(self) -> list[NodeRecord]:
        """The living, then those gone within a day, newest first."""
        ...

    async def hold(self, holdings: Mapping[str, Collection[str]]) -> None:
        """Say what this node holds: the names of its automations, and of each the fingerprints
        of the schedules that it keeps. Stands instead of what was said before, and for every
        life that begins after it from its first moment."""
        ...

    async def held_by_others(
        self, *, seen_within: timedelta | None = None
    ) -> Mapping[str, frozenset[str]]:
        """What any other node said that it holds, of those that live: they neither left nor
        were retired, and their lease has not ended over `LAPSED` ago. With `seen_within`,
        of all that lived no longer ago than that.

        Over a ledger that only one process can hold, nothing.
        """
        ...


class Lease(Protocol):
    """Whether this node may still act on the runs that it carries."""

    def held(self) -> bool:
        """False from the moment at which another node may have taken over, by this node's
        own monotonic clock: asked right before each effect that must not happen twice."""
        ...


class Journal(Protocol):
    """One run's own journal, as an executor sees it. Secrets are masked on the way in."""

    async def record(
        self,
        type: EntryType,
        *,
        step: str | None = None,
        parent: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        """Append; durable when it returns."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """All that an executor may know of a run. The snapshot is the one the run started with."""

    run: Run
    definition: Definition
    snapshot: Snapshot
    environment: Environment
    journal: Journal
    lease: Lease
    event: Event | None = None
    previous: Previous | None = None
    extras: Mapping[str, object] = field(default_factory=dict[str, object])


class Executor(Protocol):
    """How a run does its work."""

    async def execute(self, context: RunContext) -> Outcome | Waiting:
        """Do the work and say how it ended.

        May raise: any exception is a failed run. May be cancelled at any await: the
        deadline or a person ends the run; what was journaled stays.
        """
        ...


class OutcomePlanner(Protocol):
    """What an outcome owes to whom. Pure: called inside the ledger's transaction."""

    def plan(
        self, run: Run, outcome: Outcome, definition: Definition, state: FailureState, now: datetime
    ) -> Plan:
        """The messages of this outcome, rendered, unsent."""
        ...

    def plan_unknown_write(
        self, run: Run, outcome: Outcome, settings: WorkspaceSettings, now: datetime
    ) -> Plan:
        """What the workspace's own targets are told of a write of unknown outcome, where the
        automation tells nobody."""
        ...


class RuntimeView(Protocol):
    """The runtime as its own read-only connection: `GET /automations`, `/runs`, `/deliveries`."""

    async def get(self, path: str, params: Mapping[str, str]) -> tuple[int, object]:
        """HTTP status and JSON document."""
        ...


class RunControl(Protocol):
    """What the engine does for the doors beside the ledger."""

    def cancel_running(self, run_id: str) -> bool:
        """Ask a running run to end as cancelled; False when it does not run here."""
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


class Ledger(
    EventLedger,
    RunLedger,
    ScheduleLedger,
    JournalLedger,
    Outbox,
    BreakerLedger,
    ConditionLedger,
    FactLedger,
    DefinitionArchive,
    StoreLedger,
    NodeLedger,
    WaitLedger,
    Protocol,
):
    """All of the above over one database."""


MINIMUM_INTERVAL = timedelta(seconds=60)
"""Schedules are at least this far apart (specification §3)."""
MAXIMUM_DEPTH = 3
"""How deep a chain of events may go (specification §3)."""
DEDUP_RETENTION = timedelta(days=7)
"""How long a delivery is remembered (specification §4.2)."""
