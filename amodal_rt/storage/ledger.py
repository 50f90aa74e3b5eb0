"""All parts of the ledger together, over whichever database."""

from typing import Self

from amodal_rt.errors import AmodalError
from amodal_rt.storage.archive import ArchiveRows
from amodal_rt.storage.audit import AuditRows
from amodal_rt.storage.breakers import BreakerRows
from amodal_rt.storage.bus import BusRows
from amodal_rt.storage.census import CensusRows
from amodal_rt.storage.conditions import ConditionRows
from amodal_rt.storage.events import EventRows
from amodal_rt.storage.facts import FactRows
from amodal_rt.storage.journal import JournalRows
from amodal_rt.storage.nodes import NodeRows
from amodal_rt.storage.outbox import OutboxRows
from amodal_rt.storage.outcomes import OutcomeRows
from amodal_rt.storage.parked import ParkedRows
from amodal_rt.storage.remote_triggers import RemoteTriggerRows
from amodal_rt.storage.retention import RetentionRows
from amodal_rt.storage.run_queries import RunQueries
from amodal_rt.storage.runs import RunRows
from amodal_rt.storage.schedules import ScheduleRows
from amodal_rt.storage.spending import SpendRows
from amodal_rt.storage.stores import StoreRows
from amodal_rt.storage.tokens import TokenRows
from amodal_rt.storage.waits import WaitRows


class DatabaseLedger(
    EventRows,
    BusRows,
    RemoteTriggerRows,
    RunRows,
    OutcomeRows,
    RunQueries,
    ScheduleRows,
    JournalRows,
    OutboxRows,
    BreakerRows,
    ConditionRows,
    FactRows,
    TokenRows,
    AuditRows,
    ArchiveRows,
    StoreRows,
    SpendRows,
    NodeRows,
    RetentionRows,
    WaitRows,
    ParkedRows,
    CensusRows,
):
    """`ports.Ledger` but for the choice of the database."""

    @property
    def broken(self) -> bool:
        """Whether a commit failed so that the disk's state is unknown.

        Nothing is acknowledged any more; only a restart, which reads the disk again, helps.
        """
        return self._database.broken

    @property
    def unwritable(self) -> AmodalError | None:
        """Why the last write was refused; None once a write came through again.

        It ends by a write alone: whoever waits for the end makes one (`prove_writable`).
        """
        return self._database.unwritable

    async def open(self) -> None:
        """Open the file and bring its tables up to date.

        Raises ConflictError (`ledger_newer`, `ledger_foreign`) or UnavailableError (`ledger`).
        """
        await self._database.open()

    async def close(self) -> None:
        """Commit what is under way and let go of the file."""
        await self._database.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
