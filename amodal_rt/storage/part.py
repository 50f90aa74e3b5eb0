"""What every part of the ledger stands on."""

from amodal_rt.clock import Clock
from amodal_rt.storage.acceptance import Acceptance
from amodal_rt.storage.admission import Admission
from amodal_rt.storage.database import Database


class Part:
    """One port's share of the ledger. All parts of a ledger share these."""

    def __init__(self, database: Database, clock: Clock, admission: Admission) -> None:
        self._database = database
        self._clock = clock
        self._admission = admission
        self._acceptance = Acceptance(admission)
