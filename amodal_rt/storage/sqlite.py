"""The ledger over one SQLite file."""

from pathlib import Path

from amodal_rt.clock import Clock
from amodal_rt.ids import Ids, SystemIds
from amodal_rt.storage.admission import Admission
from amodal_rt.storage.database import Database
from amodal_rt.storage.ledger import DatabaseLedger
from amodal_rt.storage.sqlite_file import SqliteFile


class SqliteLedger(DatabaseLedger):
    """`ports.Ledger` over the file at `path`, which `open` makes if it is missing.

    Every method may raise UnavailableError (`ledger`). Use from one event loop.
    """

    def __init__(self, path: Path, *, clock: Clock, ids: Ids | None = None) -> None:
        super().__init__(Database(SqliteFile(path)), clock, Admission(), ids or SystemIds(clock))
