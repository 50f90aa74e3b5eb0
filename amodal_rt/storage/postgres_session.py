"""Sessions on a PostgreSQL server: opened, lost, and opened again."""

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from amodal_rt.errors import AmodalError, InvalidError
from amodal_rt.logs import Log
from amodal_rt.storage import postgres_faults, postgres_revision
from amodal_rt.storage.dialect import RAW
from amodal_rt.storage.postgres_speech import PostgresRaw, adapt
from amodal_rt.storage.session import Fate

_log = Log("storage")

LOCK = 0x616D6F64616C
"""The advisory lock that the one writer of all nodes holds while it writes."""
_SHORTEST, _LONGEST = 0.1, 1.0
"""Seconds between two attempts to reach a server that is away."""
_BEGIN_WRITE = f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({LOCK})"
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

_WAY = {
    "connect_timeout": "5",
    # Found out within five seconds: a server that is cut off says nothing.
    "keepalives": "1",
    "keepalives_idle": "2",
    "keepalives_interval": "1",
    "keepalives_count": "3",
    "tcp_user_timeout": "5000",
    "target_session_attrs": "read-write",
    "application_name": "amodal-rt",
    "client_encoding": "utf8",
}
"""What a URL says otherwise stands."""

SETTINGS = {
    # A node that is paused in the middle of a transaction holds up all others no longer.
    "idle_in_transaction_session_timeout": "3s",
    "lock_timeout": "5s",
    "statement_timeout": "8s",
    # A node that is cut off is found out by the server, which then frees what it held.
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "5000",
    "jit": "off",
}
_SET = "; ".join(f"SET {name} = '{value}'" for name, value in SETTINGS.items())
# Weaker would acknowledge what a crash takes back; stronger is the operator's choice.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')"
)

BeforeCommit = Callable[[psycopg.Connection[Any]], None]


class PostgresServer:
    """Sessions on the database that a URL names (`postgresql://…`, or libpq's own form)."""

    def __init__(self, url: str, before_commit: BeforeCommit | None = None) -> None:
        """`before_commit` is what else each writing transaction does at its end."""
        self._before_commit = before_commit
        try:
            self.way: dict[str, Any] = {**_WAY, **conninfo_to_dict(url)}
        except psycopg.ProgrammingError:
            # Its message may repeat the URL, and so the password.
            raise InvalidError(
                "`database` is no URL of a PostgreSQL database",
                hint="postgresql://USER:PASSWORD@HOST:5432/NAME",
            ) from None
        self._engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect_driver,
            poolclass=NullPool,
            # Transactions begin and end where the session says so.
            isolation_level="AUTOCOMMIT",
            use_native_hstore=False,
            hide_parameters=True,
        )
        event.listen(self._engine, "connect", _give_raw)

    def open_writer(self) -> "PostgresSession":
        """As `session.Source` promises."""
        try:
            session = PostgresSession(self._engine.connect, _BEGIN_WRITE, self._before_commit)
        except Exception as error:  # noqa: BLE001  raised again in our words
            raise postgres_faults.at_start(error) from None
        try:
            postgres_revision.bring_up_to_date(session.connection, LOCK)
        except Exception as error:  # noqa: BLE001  raised again in our words
            session.close()
            raise postgres_faults.at_start(error) from None
        return session

    def open_reader(self) -> "PostgresSession":
        """As `session.Source` promises."""
        try:
            return PostgresSession(self._engine.connect, _BEGIN_READ)
        except Exception as error:  # noqa: BLE001  raised again in our words
            raise postgres_faults.translated(error) from None

    def _connect_driver(self) -> psycopg.Connection[Any]:
        raw = psycopg.connect(autocommit=True, **self.way)
        try:
            raw.execute(f"{_SET}; {_DURABLE}".encode(), prepare=False)
            adapt(raw)
        except psycopg.Error:
            raw.close()
            raise
        return raw


def _give_raw(raw: psycopg.Connection[Any], record: Any) -> None:
    record.info[RAW] = PostgresRaw(raw)


class PostgresSession:
    """A connection to the server, made again when it is lost."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        begin: str,
        before_commit: BeforeCommit | None = None,
    ) -> None:
        self._connect = connect
        self._before_commit = before_commit
        self._begin = begin.encode()
        self._pause = _SHORTEST
        self._why: AmodalError = postgres_faults.away("not connected")
        self._told_away = False
        self._connection: Connection | None = None
        self._raw: psycopg.Connection[Any] | None = None
        self._open()

    @property
    def connection(self) -> Connection:
        """As `session.Session` promises, like all that follow."""
        assert self._connection is not None
        return self._connection

    @property
    def away(self) -> bool:
        """Since the last attempt to connect failed."""
        return self._raw is None

    def begin(self) -> None:
        """A writer waits here for its turn among all nodes."""
        self._send(self._begin)

    def has_written(self) -> bool:
        """The server numbers a transaction with its first write."""
        found = self._send(b"SELECT txid_current_if_assigned() IS NOT NULL").fetchone()
        return bool(found and found[0])

    def commit(self) -> None:
        """Raises too when the server answers that it rolled back."""
        if self._before_commit is not None:
            assert self._raw is not None
            self._before_commit(self._raw)
        said = self._send(b"COMMIT").statusmessage
        if said != "COMMIT":
            raise psycopg.errors.InFailedSqlTransaction(f"the commit became a {said}")

    def end(self) -> None:
        """Nothing was written."""
        self._send(b"ROLLBACK")

    def undo(self, error: BaseException, *, committing: bool) -> Fate:
        """A connection lost before COMMIT was sent takes all with it; lost at COMMIT, nobody
        knows, and the works are not run again."""
        lost = self.is_lost(error)
        if not lost:
            try:
                self._send(b"ROLLBACK")
            except Exception as second:  # noqa: BLE001  then only the server can end it
                error, lost = second, True
        if lost:
            self._drop()
            if not self.revive():
                return Fate.OVER
            return Fate.OVER if committing else Fate.AGAIN
        # Only the server's own answer to COMMIT says that nothing was committed.
        unanswered = committing and postgres_faults.state_of(error) is None
        over = unanswered or postgres_faults.is_hopeless(error)
        return Fate.OVER if over else Fate.AGAIN

    def is_lost(self, error: BaseException) -> bool:
        """By what was said, or by the state of the connection."""
        return self._raw is None or self._raw.closed or postgres_faults.ends_session(error)

    def is_spoilt(self, error: BaseException) -> bool:
        """A work alone is not at fault for a lost connection, a deadlock or a full disk."""
        return (
            self.is_lost(error)
            or postgres_faults.is_retried(error)
            or postgres_faults.is_hopeless(error)
        )

    def translated(self, error: BaseException) -> BaseException:
        """By what PostgreSQL calls it."""
        return postgres_faults.translated(error)

    def refusal(self) -> AmodalError:
        """Why the last attempt to connect failed."""
        return self._why

    def revive(self) -> bool:
        """Waits up to the connection's own time limit."""
        try:
            self._open()
        except Exception as error:  # noqa: BLE001  the next attempt may find it
            if not self._told_away:
                _log.warning("database.away", reason=postgres_faults.detail(error))
            told = postgres_faults.translated(error)
            self._why = told if isinstance(told, AmodalError) else self._why
            self._told_away = True
            return False
        if self._told_away:
            _log.info("database.back")
        self._told_away = False
        return True

    def pause(self) -> float | None:
        """A little longer after each attempt in vain."""
        if self._raw is not None:
            self._pause = _SHORTEST
            return None
        self._pause = min(self._pause * 2, _LONGEST)
        return self._pause

    def cut(self) -> None:
        """As if the network had: the server's silence becomes a lost connection."""
        raw = self._raw
        if raw is None:
            return
        with (
            contextlib.suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(raw.pgconn.socket)) as way,
        ):
            way.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """The server ends what was under way."""
        self._drop()

    def _open(self) -> None:
        connection = self._connect()
        self._connection, self._raw = connection, postgres_revision.postgres_driver(connection)

    def _drop(self) -> None:
        connection, raw = self._connection, self._raw
        self._connection = self._raw = None
        if raw is not None:
            raw.close()
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _send(self, statement: bytes) -> psycopg.Cursor[Any]:
        assert self._raw is not None
        return self._raw.execute(statement, prepare=False)
