"""What can be told of a ledger in PostgreSQL without changing anything of it."""

from contextlib import closing

import psycopg

from amodal_rt.storage import postgres_faults, revision
from amodal_rt.storage.examining import Examined
from amodal_rt.storage.postgres_session import PostgresServer

_SIZE = "SELECT pg_database_size(current_database())"
_REVISION = "SELECT version_num FROM alembic_version"


def examine_server(url: str) -> Examined:
    """Connect as the daemon would. `old` is empty for a database without tables.

    Raises InvalidError for a URL that names no database, ConflictError (`ledger_newer`) and
    UnavailableError (`ledger`).
    """
    way = PostgresServer(url).way
    try:
        with closing(psycopg.connect(autocommit=True, **way)) as raw:
            size = int((raw.execute(_SIZE).fetchone() or (0,))[0])
            found = _stored(raw)
    except psycopg.Error as error:
        raise postgres_faults.at_start(error) from None
    if found:
        revision.require_known(found, revision.SCRIPTS)
    return Examined(size=size, old=None if found == revision.SCRIPTS.head else found)


def _stored(raw: psycopg.Connection) -> str:
    try:
        row = raw.execute(_REVISION).fetchone()
    except psycopg.errors.UndefinedTable:
        return ""
    return str(row[0]) if row else ""
