"""Which version of the tables a database has, and how it gets this one."""

from typing import Any, cast

import psycopg
from sqlalchemy import Connection

from amodal_rt import failpoints
from amodal_rt.errors import ConflictError
from amodal_rt.storage import revision
from amodal_rt.storage.revision import SCRIPTS, Scripts
from amodal_rt.storage.tables import metadata

_PATIENCE = "60s"
"""How long a node waits for another that makes or changes the tables."""


def bring_up_to_date(connection: Connection, lock: int, scripts: Scripts = SCRIPTS) -> None:
    """Give the database the tables of `scripts.head`, in one transaction.

    Nodes that start together take turns. Raises ConflictError: `ledger_newer` for a
    revision that `scripts` does not know, `ledger_foreign` for tables that are not ours or
    a database that cannot hold our text.
    """
    raw = postgres_driver(connection)
    raw.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    try:
        for setting, value in (
            ("lock_timeout", _PATIENCE),
            ("statement_timeout", "0"),
            ("idle_in_transaction_session_timeout", _PATIENCE),
        ):
            raw.execute(f"SET LOCAL {setting} = '{value}'".encode())
        raw.execute(f"SELECT pg_advisory_xact_lock({lock})".encode())
        changed = _change(connection, raw, scripts)
    except Exception:
        if not raw.closed:
            raw.execute("ROLLBACK")
        raise
    if not changed:
        raw.execute("ROLLBACK")
        return
    failpoints.hit("create.before_commit")
    raw.execute("COMMIT")
    failpoints.hit("create.after_commit")


def postgres_driver(connection: Connection) -> psycopg.Connection[Any]:
    """The driver's own connection where the database can only be PostgreSQL."""
    raw: object = connection.connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return cast(psycopg.Connection[Any], raw)


def _change(connection: Connection, raw: psycopg.Connection[Any], scripts: Scripts) -> bool:
    encoding = raw.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ConflictError(
            f"the database is encoded in {encoding}",
            code="ledger_foreign",
            hint="CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
        )
    query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    tables = {name for (name,) in raw.execute(query)}
    ours = tables & set(metadata.tables)
    if not ours and "alembic_version" not in tables:
        revision.make_tables(connection, scripts.head)
        return True
    # Half of the two is somebody else's; another program may use alembic as well.
    marked = bool(ours) and "alembic_version" in tables
    found = raw.execute("SELECT version_num FROM alembic_version").fetchone() if marked else None
    if found is None:
        raise ConflictError(
            "the database holds tables of another program",
            code="ledger_foreign",
            hint="give the ledger a database or a schema of its own",
        )
    if found[0] == scripts.head:
        return False
    revision.require_known(found[0], scripts)
    # Alembic takes a quarter of a second to import and is needed once per version.
    from amodal_rt.storage import upgrade  # noqa: PLC0415

    upgrade.run(connection, scripts.folder, scripts.head)
    return True
