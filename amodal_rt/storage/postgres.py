"""The ledger over a PostgreSQL database that several daemons may share."""

from sqlalchemy import Connection, text

from amodal_rt.clock import Clock
from amodal_rt.ids import Ids, SystemIds
from amodal_rt.storage.admission import Admission
from amodal_rt.storage.database import Database
from amodal_rt.storage.ledger import DatabaseLedger
from amodal_rt.storage.postgres_session import PostgresServer

_NOW = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)")


class PostgresLedger(DatabaseLedger):
    """`ports.Ledger` over the database that `url` names; `open` makes its tables.

    Every method may raise UnavailableError (`ledger`): while the server is away, at once.
    When it is back the ledger goes on by itself. Use from one event loop.
    """

    _sole = False

    def __init__(self, url: str, *, clock: Clock, ids: Ids | None = None) -> None:
        """Raises InvalidError for a URL that names no PostgreSQL database."""
        database = Database(PostgresServer(url))
        super().__init__(database, clock, Admission(shared=True), ids or SystemIds(clock))

    def _moment(self, connection: Connection) -> int:
        # Leases of several machines count by one clock.
        return connection.execute(_NOW).scalar_one()
