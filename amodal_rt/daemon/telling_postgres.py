"""A ledger in PostgreSQL that tells. Only who names a database needs its driver."""

from amodal_rt.daemon.telling import Telling
from amodal_rt.storage.postgres import PostgresLedger


class TellingPostgresLedger(Telling, PostgresLedger):
    """Both in one."""
