"""What alembic runs around the revisions: always on the connection of an open ledger."""

from alembic import context
from sqlalchemy import Connection

from amodal_rt.storage.tables import metadata


def _upgrade(connection: Connection) -> None:
    # The caller holds the transaction: this must neither begin nor commit one.
    connection.exec_driver_sql("SELECT 1")
    context.configure(connection=connection, target_metadata=metadata)
    context.run_migrations()


_upgrade(context.config.attributes["connection"])
