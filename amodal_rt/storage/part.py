"""What every part of the ledger stands on."""

from amodal_rt.clock import Clock
from amodal_rt.storage.admission import Admission
from amodal_rt.storage.database import Database


class Part:
    """One port's share of the ledger. All parts of a ledger share these three."""

    def __init__(self, database: Database, clock: Clock, admission: Admission) -> None:
        self._database = database
        self._clock = clock
        self._admission = admission
