"""One node's view of a ledger in memory."""

from amodal_rt.clock import Clock
from amodal_rt.ids import Ids, SystemIds
from amodal_rt.testing.ledger.audit import AuditRows
from amodal_rt.testing.ledger.bus import BusRows, RemoteTriggerRows, TokenRows
from amodal_rt.testing.ledger.census import CensusRows
from amodal_rt.testing.ledger.events import EventRows
from amodal_rt.testing.ledger.facts import ArchiveRows, ConditionRows, ScheduleRows
from amodal_rt.testing.ledger.journal import JournalRows, StoreRows
from amodal_rt.testing.ledger.nodes import NodeRows
from amodal_rt.testing.ledger.outbox import OutboxRows
from amodal_rt.testing.ledger.outcomes import OutcomeRows
from amodal_rt.testing.ledger.parked import ParkedRows
from amodal_rt.testing.ledger.queries import RunQueries
from amodal_rt.testing.ledger.spending import SpendRows
from amodal_rt.testing.ledger.store import MemoryStore
from amodal_rt.testing.ledger.waits import WaitRows


class MemoryLedger(
    EventRows,
    OutcomeRows,
    BusRows,
    RemoteTriggerRows,
    TokenRows,
    RunQueries,
    ScheduleRows,
    JournalRows,
    OutboxRows,
    ConditionRows,
    AuditRows,
    ArchiveRows,
    StoreRows,
    SpendRows,
    NodeRows,
    WaitRows,
    ParkedRows,
    CensusRows,
):
    """`ports.Ledger` in memory: all of its promises but that anything outlives the process.

    Passes the contract suite of the real ones. Several ledgers over one `store` are several
    nodes. `faults` makes this node's way to the ledger fail. Use from one event loop.
    """

    def __init__(
        self, store: MemoryStore | None = None, *, clock: Clock, ids: Ids | None = None
    ) -> None:
        super().__init__(store or MemoryStore(), clock, ids or SystemIds(clock))
