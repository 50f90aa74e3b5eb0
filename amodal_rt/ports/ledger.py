"""The whole ledger."""

from typing import Protocol

from amodal_rt.ports.audit import AuditLedger
from amodal_rt.ports.bus import BusLedger, RemoteTriggerLedger
from amodal_rt.ports.census import CensusLedger
from amodal_rt.ports.events import EventLedger
from amodal_rt.ports.facts import DefinitionArchive, FactLedger, TokenLedger
from amodal_rt.ports.journal import JournalLedger, StoreLedger
from amodal_rt.ports.nodes import NodeLedger
from amodal_rt.ports.outbox import BreakerLedger, ConditionLedger, Outbox
from amodal_rt.ports.parked import ParkedLedger
from amodal_rt.ports.runs import RunLedger, ScheduleLedger, WaitLedger
from amodal_rt.ports.spending import SpendLedger


class Ledger(
    EventLedger,
    BusLedger,
    RemoteTriggerLedger,
    RunLedger,
    ScheduleLedger,
    JournalLedger,
    Outbox,
    BreakerLedger,
    ConditionLedger,
    FactLedger,
    TokenLedger,
    AuditLedger,
    DefinitionArchive,
    StoreLedger,
    SpendLedger,
    NodeLedger,
    WaitLedger,
    ParkedLedger,
    CensusLedger,
    Protocol,
):
    """All of the above over one database."""
