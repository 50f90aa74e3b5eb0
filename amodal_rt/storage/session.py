"""What the writer and the readers need from a connection, whichever database it leads to."""

from enum import Enum
from typing import Protocol

from sqlalchemy import Connection

from amodal_rt.errors import AmodalError


class Fate(Enum):
    """What became of a transaction that an error ended."""

    AGAIN = "rolled back for certain: its works may be run again"
    OVER = "its works fail; whether a commit under way came through may be unknown"
    BROKEN = "what the disk holds is unknown, and nothing may be acknowledged any more"


class Session(Protocol):
    """One connection, used by one thread at a time, that outlives its own losses."""

    @property
    def connection(self) -> Connection:
        """The connection as it is now: another one after a loss."""
        ...

    @property
    def away(self) -> bool:
        """Whether the database cannot be reached; then only `revive` helps."""
        ...

    def begin(self) -> None:
        """Begin a transaction."""
        ...

    def has_written(self) -> bool:
        """Whether the transaction has changed anything, so that its commit proves that what is
        written can be made durable."""
        ...

    def commit(self) -> None:
        """Make it durable; raises unless that is certain."""
        ...

    def end(self) -> None:
        """Roll back what was only read."""
        ...

    def undo(self, error: BaseException, *, committing: bool) -> Fate:
        """Roll back after `error`; `committing` when `commit` raised it. Never raises."""
        ...

    def is_spoilt(self, error: BaseException) -> bool:
        """Whether `error` took the whole transaction with it, not one statement."""
        ...

    def is_lost(self, error: BaseException) -> bool:
        """Whether `error` came from a connection that was cut."""
        ...

    def translated(self, error: BaseException) -> BaseException:
        """The error that a caller sees."""
        ...

    def refusal(self) -> AmodalError:
        """What a work is told while the database is away."""
        ...

    def revive(self) -> bool:
        """Try once to reach a database that is away; whether it is back. Never raises."""
        ...

    def pause(self) -> float | None:
        """Seconds until `revive` should be tried, or None while the database is there."""
        ...

    def cut(self) -> None:
        """Make a call that another thread waits in fail, where the database may have fallen
        silent. Callable from any thread. Never raises."""
        ...

    def close(self) -> None:
        """Let go of the connection. Never raises."""
        ...


class Source(Protocol):
    """Where sessions come from."""

    def open_writer(self) -> Session:
        """Bring the tables up to date and open the session that writes.

        Raises ConflictError (`ledger_newer`, `ledger_foreign`) or UnavailableError (`ledger`).
        """
        ...

    def open_reader(self) -> Session:
        """Open a session whose transactions read one moment and cannot write."""
        ...
