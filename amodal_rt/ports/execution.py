"""How a run does its work, and who may look on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.connection import Connection
from amodal_rt.domain.delivery import (
    DeliveryRecord,
    FailureState,
    OutboxMessage,
    Plan,
    Target,
)
from amodal_rt.domain.event import Event
from amodal_rt.domain.journal import EntryType
from amodal_rt.domain.outcome import Origin, Outcome, Waiting
from amodal_rt.domain.parked import ParkedStatus, ParkedWrite
from amodal_rt.domain.remote_trigger import RemoteType
from amodal_rt.domain.run import Run
from amodal_rt.domain.workspace import Snapshot, WorkspaceSettings
from amodal_rt.ports.nodes import Lease
from amodal_rt.ports.runs import Previous, RunRef
from amodal_rt.settings import Environment


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


class ModelPacing(Protocol):
    """Which automations wait for the provider of their model, because it was asked too much."""

    def held(self, snapshot: Snapshot, name: str) -> tuple[str, datetime] | None:
        """The model that a run of the automation waits for, and until when at least; None where
        it may start. Callable in the ledger's thread."""
        ...

    def may_start(self, snapshot: Snapshot, name: str) -> bool:
        """Whether a run of the automation that starts now need not wait. It may be the one that
        asks a model first which was left alone: others wait for it then."""
        ...

    def next_at(self) -> datetime | None:
        """When the next model may be asked that now waits."""
        ...


class WriteMessages(Protocol):
    """Who is asked about a parked write, and told of an approved one that was not made, or of
    which nobody knows. Pure."""

    def asking(
        self, write: ParkedWrite, definition: Definition | None, now: datetime
    ) -> tuple[OutboxMessage, ...]:
        """One message for each target that the automation names, unsent and without its link."""
        ...

    def of_write(
        self,
        write: ParkedWrite,
        status: ParkedStatus,
        error: str,
        definition: Definition | None,
        settings: WorkspaceSettings,
        now: datetime,
    ) -> tuple[OutboxMessage, ...]:
        """The alerts, unsent: to the targets of the automation's `failureAlert`, else to those of
        the workspace. None where all went well."""
        ...


class StepMessages(Protocol):
    """What a step of a run tells somebody before the run ends. Pure."""

    def of_step(
        self, run: Run, targets: Sequence[Target], said: object, now: datetime, *, origin: Origin
    ) -> tuple[OutboxMessage, ...]:
        """One message for each target, unsent; `said` is a text or JSON, without secrets, and
        `origin` says whose words it may hold."""
        ...


Ending = Callable[[Outcome, str | None, datetime], tuple[Event, ...]]
"""The events of a run's end: its outcome, the reason that goes on record, and when. Pure, and
callable in the ledger's thread."""


class OwnEvents(Protocol):
    """What the runtime itself says on the bus.

    Only what a trigger of the newest snapshot could match is made at all: runs, deliveries and
    journals are on record anyway. Nor is what is too deep in a chain to start anything more.
    """

    def ending(self, run: Run) -> Ending:
        """What will be said of the end of `run`; to be stored in the transaction of that end."""
        ...

    async def dead(self, record: DeliveryRecord) -> tuple[Event, ...]:
        """What is said of a message that was given up; to be stored with what follows it."""
        ...

    def note(self, refs: Iterable[RunRef]) -> None:
        """Say soon what became of those that ended without having run."""
        ...

    def connection(self, name: str, *, ok: bool, detail: str | None) -> None:
        """Say soon that a connection answers, or that it does not, where it was otherwise."""
        ...

    async def begun(self, run: Run) -> None:
        """Say that the session of a run begins. Never raises."""
        ...

    async def tell(
        self, type: str, *, source: str, subject: str | None, data: Mapping[str, object]
    ) -> None:
        """Say something that no run is the cause of. Never raises: what a ledger that is away
        cannot take is lost."""
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


class TriggerConnections(Protocol):
    """MCP connections whose servers watch for events on our behalf (`TRIGGER_LIST`,
    `TRIGGER_CONFIGURE`)."""

    async def list_types(self, connection: Connection) -> list[RemoteType]:
        """What the server can watch for. Raises NotFoundError (`no_triggers`) when it does not
        implement the binding, UnavailableError when it is not there or makes no sense."""
        ...

    async def configure(
        self,
        connection: Connection,
        *,
        watcher: str,
        type: str,
        params: Mapping[str, str],
        callback: tuple[str, str] | None,
    ) -> str | None:
        """Begin to watch, calling back at the URL with the token of `callback`; None ends it.
        What of it the server does not know, in words, or None: it watches all the same.

        `watcher` tells this trigger apart from its siblings, to servers that keep one callback
        for each of those who ask. Raises NotFoundError (`no_triggers`), ConflictError
        (`trigger_unknown`) for what is not on its list, (`trigger_refused`) when it said no,
        UnavailableError when it cannot be reached,
        TimeoutError when no answer came within five seconds, or the server went away over it:
        then it may or may not watch.
        """
        ...

    def life(self, connection: Connection) -> str | None:
        """Which life of its server watches: another text once that was started anew, as far as
        it is seen, None while it does not run."""
        ...

    async def visit(self, connection: Connection) -> str | None:
        """Find out whether a server elsewhere is there, and still the same: `life` counts from
        then. Why it is not there, or None. A child process of ours is seen without a visit."""
        ...

    def end_is_seen(self, connection: Connection) -> bool:
        """Whether `life` tells of every new start of its server; else one that was quick may go
        unseen."""
        ...
