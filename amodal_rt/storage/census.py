"""How much of everything there is: `ports.CensusLedger`."""

from sqlalchemy import (
    ColumnElement,
    Connection,
    ScalarSelect,
    Table,
    TextClause,
    func,
    select,
    text,
)

from amodal_rt.domain.census import Census
from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.domain.parked import ParkedStatus
from amodal_rt.domain.run import PendingReason
from amodal_rt.storage import tables
from amodal_rt.storage.part import Part

_ASKING = tables.runs.c.reason == PendingReason.AWAITING_APPROVAL.value
_OWED = (DeliveryStatus.PENDING.value, DeliveryStatus.SENDING.value)
_DEAD = (DeliveryStatus.DEAD.value, DeliveryStatus.EXPIRED.value)


class CensusRows(Part):
    """`ports.CensusLedger` over a database."""

    async def census(self) -> Census:
        pending, status = text(tables.PENDING), tables.outbox.c.status
        parked = tables.parked_writes
        query = select(
            _count(tables.runs, pending).label("pending"),
            _count(tables.runs, pending, _ASKING).label("asking"),
            _count(tables.runs, text(tables.RUNNING)).label("running"),
            _count(parked, parked.c.status == ParkedStatus.OPEN.value).label("parked"),
            _count(tables.outbox, status.in_(_OWED)).label("owed"),
            _count(tables.outbox, status.in_(_DEAD)).label("dead"),
        )

        def work(connection: Connection) -> Census:
            return Census(**connection.execute(query).mappings().one())

        return await self._database.read(work)


def _count(table: Table, *where: ColumnElement[bool] | TextClause) -> ScalarSelect[int]:
    return select(func.count()).select_from(table).where(*where).scalar_subquery()
