"""All that the nodes of one ledger share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import count

from amodal_rt.clock import Clock
from amodal_rt.domain.breaker import Breaker
from amodal_rt.domain.budget import Hold, Spent
from amodal_rt.domain.condition import Condition
from amodal_rt.domain.delivery import DeliveryRecord, DeliveryStatus, FailureState
from amodal_rt.domain.event import Event, Rejection
from amodal_rt.domain.journal import Entry, EntryType
from amodal_rt.domain.node import NodeRecord
from amodal_rt.domain.outcome import GateValue
from amodal_rt.domain.parked import ParkedWrite
from amodal_rt.domain.remote_trigger import RemoteTrigger
from amodal_rt.domain.run import OPEN
from amodal_rt.domain.token import Token
from amodal_rt.ports import (
    Act,
    ArchivedDefinition,
    AutomationFacts,
    Caller,
    Intent,
    RunRef,
    ScheduleState,
    StoreItem,
)
from amodal_rt.testing.ledger import values
from amodal_rt.testing.ledger.tables import AuditRow, RunTable, Table, Undo

UNSETTLED = frozenset({DeliveryStatus.PENDING, DeliveryStatus.SENDING})


@dataclass(frozen=True, slots=True)
class MessageRow:
    """A message with who sends it, and whether anybody was told that it was given up."""

    number: int
    record: DeliveryRecord
    node: str | None = None
    unanswered: bool = False


class OutboxTable(Table[str, MessageRow]):
    """Messages by id; `unsettled` holds `{number: id}` of those under way, in no order."""

    def __init__(self, undo: Undo) -> None:
        super().__init__(undo)
        self.unsettled: dict[int, str] = {}

    def open_rows(self) -> list[MessageRow]:
        """Those under way, oldest first."""
        return [self._rows[key] for _, key in sorted(self.unsettled.items())]

    def _set(self, key: str, row: MessageRow | None) -> None:
        before = self._rows.get(key)
        if before is not None:
            self.unsettled.pop(before.number, None)
        super()._set(key, row)
        if row is not None and row.record.status in UNSETTLED:
            self.unsettled[row.number] = key


@dataclass(frozen=True, slots=True)
class EventRow:
    """A stored event."""

    event: Event
    missed: int
    unmatched: bool = False


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A value of a store."""

    item: StoreItem
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class GateRow:
    """What the gate of an automation saw last, and in which run."""

    run_id: str
    gate: GateValue


class MemoryStore:
    """The tables of one ledger. Give one to several `MemoryLedger`s: they are its nodes.

    Nothing outlives the process: to restart a daemon, make a new ledger over the same store.
    Leases count by `clock`, where one is given, else by the clock of each node. `sole` says
    that only one process can hold it, as with SQLite: who joins retires all others, and no
    lease ends by time alone.
    """

    def __init__(self, clock: Clock | None = None, *, sole: bool = False) -> None:
        self.clock = clock
        self.sole = sole
        self.undo = undo = Undo()
        self.numbers = count(1)
        self.runs = RunTable(undo)
        self.runs_of_event: Table[str, tuple[str, ...]] = Table(undo)
        self.slots: Table[tuple[str, datetime], str] = Table(undo)
        self.schedules: Table[tuple[str, str], ScheduleState] = Table(undo)
        self.events: Table[str, EventRow] = Table(undo)
        self.keys: Table[tuple[str, str], tuple[str, datetime]] = Table(undo)
        self.rejections: Table[int, Rejection] = Table(undo)
        self.rejected: Table[tuple[str, str], int] = Table(undo)
        self.journals: Table[tuple[str, int], Entry] = Table(undo)
        self.lengths: Table[str, int] = Table(undo)
        self.seals: Table[int, tuple[str, int]] = Table(undo)
        """Runs that ended, each with the length of its journal, and settled messages, in order."""
        self.outbox = OutboxTable(undo)
        self.failures: Table[str, FailureState] = Table(undo)
        self.breakers: Table[str, Breaker] = Table(undo)
        self.conditions: Table[str, Condition] = Table(undo)
        self.nodes: Table[str, NodeRecord] = Table(undo)
        self.holdings: Table[str, Mapping[str, frozenset[str]]] = Table(undo)
        self.automations: Table[str, AutomationFacts] = Table(undo)
        self.facts: Table[str, str] = Table(undo)
        self.intents: Table[str, Intent] = Table(undo)
        self.audit: Table[int, AuditRow] = Table(undo)
        self.versions: Table[tuple[str, str, str], ArchivedDefinition] = Table(undo)
        self.live: Table[tuple[str, str], ArchivedDefinition] = Table(undo)
        self.live_since: Table[tuple[str, str], datetime] = Table(undo)
        self.items: Table[tuple[str, str], ItemRow] = Table(undo)
        self.since: Table[str, datetime] = Table(undo)
        """By run: when the first of those that became one with it was made."""
        self.gates: Table[str, GateRow] = Table(undo)
        self.remote: Table[tuple[str, str], RemoteTrigger] = Table(undo)
        self.tokens: Table[str, Token] = Table(undo)
        self.spending: Table[tuple[date, str, str], Spent] = Table(undo)
        self.holds: Table[tuple[str, str], Hold] = Table(undo)
        self.parked: Table[str, ParkedWrite] = Table(undo)

    def append(
        self,
        run_id: str,
        type: EntryType,
        *,
        at: datetime,
        attempt: int,
        step: str | None = None,
        parent: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> int:
        """Write a journal entry as part of a transaction; returns its sequence."""
        sequence = (self.lengths.get(run_id) or 0) + 1
        entry = Entry(
            run_id=run_id,
            sequence=sequence,
            type=type,
            at=values.instant(at),
            attempt=attempt,
            step=values.maybe_text(step),
            parent=values.maybe_text(parent),
            data=values.mapping(data) if data else {},
        )
        self.journals.put((run_id, sequence), entry)
        self.lengths.put(run_id, sequence)
        if self.runs.row(run_id).run.status not in OPEN:
            self.seals.put(next(self.numbers), (run_id, sequence))
        return sequence

    def note(
        self, action: str, subject: str, caller: Caller, at: datetime, data: Mapping[str, object]
    ) -> None:
        """Append to the audit trail as part of a transaction."""
        row = AuditRow(
            at=values.instant(at),
            action=action,
            subject=values.text(subject),
            actor=values.text(caller.actor),
            door=caller.door,
            data=values.document(dict(data)),
        )
        self.audit.put(next(self.numbers), row)

    def note_act(self, act: Act | None) -> None:
        """The same of an act, where there is one."""
        if act is not None:
            self.note(act.action, act.subject, act.caller, act.at, act.data)

    def entries_of(self, run_id: str) -> list[Entry]:
        """The whole journal of a run, in order."""
        length = self.lengths.get(run_id) or 0
        found = (self.journals.get((run_id, each)) for each in range(1, length + 1))
        return [entry for entry in found if entry is not None]

    def refs_of(self, event_id: str) -> tuple[RunRef, ...]:
        """The runs that an event led to, oldest first."""
        runs = (self.runs.row(run_id).run for run_id in self.runs_of_event.get(event_id) or ())
        return tuple(
            RunRef(
                run_id=run.run_id, automation=run.automation, status=run.status, reason=run.reason
            )
            for run in runs
        )
