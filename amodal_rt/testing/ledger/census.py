"""How much of everything there is."""

from amodal_rt.domain.census import Census
from amodal_rt.domain.delivery import DeliveryStatus
from amodal_rt.domain.parked import ParkedStatus
from amodal_rt.domain.run import PendingReason, RunStatus
from amodal_rt.testing.ledger.part import Part
from amodal_rt.testing.ledger.store import UNSETTLED

_DEAD = frozenset({DeliveryStatus.DEAD, DeliveryStatus.EXPIRED})


class CensusRows(Part):
    """`ports.CensusLedger` in memory."""

    async def census(self) -> Census:
        self._check_reach()
        runs = [row.run for row in self.store.runs.values()]
        pending = [each for each in runs if each.status is RunStatus.PENDING]
        messages = [row.record.status for row in self.store.outbox.values()]
        parked = [each.status for each in self.store.parked.values()]
        return Census(
            pending=len(pending),
            asking=sum(each.reason == PendingReason.AWAITING_APPROVAL for each in pending),
            running=sum(each.status is RunStatus.RUNNING for each in runs),
            parked=parked.count(ParkedStatus.OPEN),
            owed=sum(each in UNSETTLED for each in messages),
            dead=sum(each in _DEAD for each in messages),
        )
