"""What columns of the ledger's tables are made of."""

from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, text
from sqlalchemy import Text as AnyText
from sqlalchemy.dialects.postgresql import TEXT

metadata = MetaData()

# Ordered by its bytes on either database, whatever language the server speaks.
Text = AnyText().with_variant(TEXT(collation="C"), "postgresql")
# SQLite counts rows only in a column of exactly its own type.
Number = BigInteger().with_variant(Integer(), "sqlite")


def instant(name: str, *, required: bool = False) -> Column[int]:
    """Milliseconds since the epoch."""
    return Column(name, BigInteger, nullable=not required)


def where(condition: str) -> dict[str, Any]:
    """The condition of a partial index, on either database."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def count(name: str, default: int) -> Column[int]:
    """A number that is never missing."""
    return Column(name, Integer, nullable=False, server_default=text(str(default)))
