"""How the ledger speaks to its database, whichever that is.

Frequent statements go past SQLAlchemy to the driver. They are written once, in SQLite's
words: `?` and `?1` for values, `INDEXED BY`, `json_each(?)` over a `Listed` value. What
another database calls otherwise is translated by its own `Raw`. Two rules keep that simple:
a derived table has a name, and an upsert names its columns (`ON CONFLICT (a, b) DO UPDATE`).
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection

# Both databases understand what PostgreSQL's form of an upsert compiles to.
from sqlalchemy.dialects.postgresql import insert as upsert

__all__ = ["Listed", "Raw", "Rows", "Scalar", "driver", "sqlite_driver", "upsert"]

Scalar = str | int | float | None
RAW = "amodal_rt.raw"
"""Where the connection of a database other than SQLite keeps its `Raw`."""


class Rows(Protocol):
    """What a statement found, as tuples."""

    @property
    def rowcount(self) -> int:
        """How many rows a change touched."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        ...

    def close(self) -> None:
        """Let go of the rows that are left."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Listed:
    """Many values bound as one, for `json_each(?)`: texts, or rows."""

    __slots__ = ("values",)

    def __init__(self, values: Sequence[str] | Sequence[Sequence[Scalar]]) -> None:
        self.values = values

    def __conform__(self, _: object) -> str:
        # SQLite's driver asks values that it does not know for what to bind.
        return json.dumps(self.values)


class Raw(Protocol):
    """The driver's own connection; SQLite's is one as it stands."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Send one statement."""
        ...

    def executemany(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> Rows:
        """Send one statement for each of many rows; `rowcount` is their sum."""
        ...


def driver(connection: Connection) -> Raw:
    """The driver's own connection, for statements that are too frequent for Core."""
    raw = connection.connection.driver_connection
    return raw if isinstance(raw, sqlite3.Connection) else connection.info[RAW]


def sqlite_driver(connection: Connection) -> sqlite3.Connection:
    """The same where the database can only be SQLite."""
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw
