"""A ledger that is only looked at: beside a daemon that writes it, or without one.

No byte of it is changed, its tables are not brought up to date, and nobody is asked who might have
reason to say otherwise.
"""

import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from amodal_rt.domain.chain import Head, Verdict
from amodal_rt.domain.trail import TrailFilter, TrailRow
from amodal_rt.errors import ConflictError, NotFoundError
from amodal_rt.storage import faults, revision, sealing
from amodal_rt.storage.dialect import Raw, driver
from amodal_rt.storage.session import Session
from amodal_rt.storage.sqlite_file import SqliteSession
from amodal_rt.storage.trail import trail_rows
from amodal_rt.storage.verifying import Verification

T = TypeVar("T")


class Record:
    """`ports.AuditLedger` over one session that reads."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def trail(self, wanted: TrailFilter) -> list[TrailRow]:
        """As `ports.AuditLedger` promises, like all that follow."""
        return self._read(lambda raw: trail_rows(raw, wanted))

    async def head(self) -> Head:
        """Of this moment."""
        return self._read(sealing.head_of)

    async def verify(self, kept: Head | None = None) -> Verdict:
        """Page by page: whoever writes meanwhile is not held up."""
        verification = Verification(kept)
        while self._read(verification.step):
            pass
        return verification.verdict()

    def _read(self, work: Callable[[Raw], T]) -> T:
        try:
            self._session.begin()
            found = work(driver(self._session.connection))
            self._session.end()
        except Exception as error:  # noqa: BLE001  raised again in our words
            raise self._session.translated(error) from None
        return found


@contextmanager
def file_record(path: Path) -> Generator[Record]:
    """The record in a ledger's file.

    Raises NotFoundError (`ledger_missing`), ConflictError (`ledger_foreign`, `ledger_newer`,
    `ledger_older`) and UnavailableError (`ledger`).
    """
    if not path.is_file():
        raise NotFoundError(
            f"there is no ledger at {path}",
            code="ledger_missing",
            hint="name the workspace with --workspace, its state folder with AMODAL_RT_STATE_DIR",
        )

    def connect() -> sqlite3.Connection:
        return revision.open_to_read(path)

    engine = create_engine(
        "sqlite+pysqlite://", creator=connect, poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    try:
        session = SqliteSession(engine.connect(), "BEGIN")
    except Exception as error:  # noqa: BLE001  raised again in our words
        raise faults.translated(error) from None
    try:
        _require_chain(driver(session.connection), path)
        yield Record(session)
    finally:
        session.close()


@contextmanager
def server_record(url: str) -> Generator[Record]:
    """The record in the PostgreSQL database that `url` names. Raises as `file_record`, and
    InvalidError for what is no such URL."""
    # Only who names a database needs its driver.
    from amodal_rt.storage.postgres_session import PostgresServer  # noqa: PLC0415

    session = PostgresServer(url).open_reader()
    try:
        known = driver(session.connection).execute("SELECT to_regclass('seals')").fetchone()
        if known is None or known[0] is None:
            raise _older("the database")
        yield Record(session)
    finally:
        session.close()


def _require_chain(raw: Raw, path: Path) -> None:
    assert isinstance(raw, sqlite3.Connection)
    try:
        found = revision.stored(raw)
        if found is None:
            raise revision.foreign(path)
        revision.require_known(found, revision.SCRIPTS)
        if raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'seals'").fetchone() is None:
            raise _older(str(path))
    except sqlite3.Error as error:
        raise faults.translated(error) from None


def _older(what: str) -> ConflictError:
    return ConflictError(
        f"the tables of {what} are older than the chain",
        code="ledger_older",
        hint="start the daemon once: it brings them up to date, and the chain begins",
    )
