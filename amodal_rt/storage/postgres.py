"""The ledger over a PostgreSQL database that several daemons may share."""

from collections.abc import Mapping
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from amodal_rt.clock import Clock
from amodal_rt.ids import Ids, SystemIds
from amodal_rt.storage import dispatch, postgres_faults
from amodal_rt.storage.database import Database
from amodal_rt.storage.dispatch import DispatchedAdmission
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
        admission = DispatchedAdmission()
        server = PostgresServer(url, before_commit=admission.enqueue)
        super().__init__(Database(server), clock, admission, ids or SystemIds(clock))
        self.way: Mapping[str, Any] = server.way
        """How else to connect to the same database."""

    async def open(self) -> None:
        """As `DatabaseLedger.open`; makes what dispatches its runs as well."""
        await super().open()
        try:
            await dispatch.install(self.way)
        except psycopg.Error as error:
            await self.close()
            raise postgres_faults.translated(error) from None

    def _moment(self, connection: Connection) -> int:
        # Several machines count by one clock.
        return connection.execute(_NOW).scalar_one()
