"""What the rooms need from outside their walls, with full contracts.

The middle rooms never import each other: they meet here and in the ledger. Every sentence
below is tested by the contract suite on every implementation. All ledger methods are
durable when they return: what was acknowledged survives a crash of the process.
"""

from amodal_rt.domain.records import ArchivedDefinition, LiveDates, ScheduleState, StoreItem
from amodal_rt.ports.audit import Act, AuditLedger
from amodal_rt.ports.bus import BusLedger, RemoteTriggerLedger
from amodal_rt.ports.catalogue import Catalogue, VersionedCatalogue, Versions
from amodal_rt.ports.census import CensusLedger
from amodal_rt.ports.events import (
    DEDUP_PROMISED,
    DEDUP_RETENTION,
    EventLedger,
    EventRecord,
    Receipt,
)
from amodal_rt.ports.execution import (
    Ending,
    Executor,
    Journal,
    ModelPacing,
    OutcomePlanner,
    OwnEvents,
    RunContext,
    RunControl,
    RuntimeView,
    StepMessages,
    TriggerConnections,
    WriteMessages,
)
from amodal_rt.ports.facts import (
    AutomationFacts,
    DefinitionArchive,
    FactLedger,
    Intent,
    TokenLedger,
)
from amodal_rt.ports.journal import JournalLedger, StoreLedger
from amodal_rt.ports.ledger import Ledger
from amodal_rt.ports.nodes import LAPSED, Lease, NodeLedger
from amodal_rt.ports.outbox import BreakerLedger, ConditionLedger, Outbox
from amodal_rt.ports.parked import ParkedFilter, ParkedLedger
from amodal_rt.ports.runs import (
    IDEMPOTENT_FOR,
    MAXIMUM_DEPTH,
    MINIMUM_INTERVAL,
    CanRun,
    KeptValue,
    Previous,
    RunFilter,
    RunLedger,
    RunRef,
    ScheduleLedger,
    WaitLedger,
)
from amodal_rt.ports.signals import (
    EVENTS,
    FACTS,
    OUTBOX,
    PARKED,
    QUEUE_FULL,
    RUNS_PENDING,
    SNAPSHOT,
    Caller,
    Signals,
    journal_topic,
)
from amodal_rt.ports.spending import SpendLedger

__all__ = [
    "Act",
    "ArchivedDefinition",
    "AuditLedger",
    "AutomationFacts",
    "BreakerLedger",
    "BusLedger",
    "Caller",
    "CanRun",
    "Catalogue",
    "CensusLedger",
    "ConditionLedger",
    "DEDUP_PROMISED",
    "DEDUP_RETENTION",
    "DefinitionArchive",
    "EVENTS",
    "Ending",
    "EventLedger",
    "EventRecord",
    "Executor",
    "FACTS",
    "FactLedger",
    "Intent",
    "Journal",
    "IDEMPOTENT_FOR",
    "JournalLedger",
    "KeptValue",
    "LAPSED",
    "Lease",
    "Ledger",
    "LiveDates",
    "MAXIMUM_DEPTH",
    "MINIMUM_INTERVAL",
    "NodeLedger",
    "OUTBOX",
    "Outbox",
    "ModelPacing",
    "OutcomePlanner",
    "OwnEvents",
    "PARKED",
    "ParkedFilter",
    "ParkedLedger",
    "Previous",
    "QUEUE_FULL",
    "RUNS_PENDING",
    "Receipt",
    "RemoteTriggerLedger",
    "TriggerConnections",
    "TokenLedger",
    "RunContext",
    "RunControl",
    "RunFilter",
    "RunLedger",
    "RunRef",
    "RuntimeView",
    "SNAPSHOT",
    "ScheduleLedger",
    "ScheduleState",
    "Signals",
    "SpendLedger",
    "StepMessages",
    "StoreItem",
    "StoreLedger",
    "VersionedCatalogue",
    "Versions",
    "WaitLedger",
    "WriteMessages",
    "journal_topic",
]
