"""A ledger whose disk takes no row, for as long as a test says. Reads, and transactions that
change nothing, go on, as on a full disk."""

import sqlite3

from sqlalchemy import Connection

from amodal_rt.storage.database import Database
from amodal_rt.storage.dialect import sqlite_driver

REFUSED = "the ledger cannot be used right now (SQLITE_AUTH)"
_CHANGES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}


def _deny(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action in _CHANGES else sqlite3.SQLITE_OK


async def close_disk(database: Database) -> None:
    """From now on, whatever changes a row is refused."""
    await database.write(lambda connection: sqlite_driver(connection).set_authorizer(_deny))


async def open_disk(database: Database) -> None:
    """As before. Writes nothing itself."""

    def work(connection: Connection) -> None:
        sqlite_driver(connection).set_authorizer(None)

    await database.write(work)
