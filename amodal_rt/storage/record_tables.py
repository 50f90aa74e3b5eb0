"""The tables of the record beside the journal: what was done by whom, and the seals of runs."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from amodal_rt.storage.columns import Number, Text, instant, metadata, where

CHAINED = "place IS NOT NULL"

# The chain of runs that ended, and of those that were forgotten; `number` has no gap.
seals = Table(
    "seals",
    metadata,
    Column("number", Number, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("entries", Integer),
    # Digest of the last entry, and of what the run's row says.
    Column("head", Text),
    Column("facts", Text),
    instant("at", required=True),
    Column("digest", Text, nullable=False),
    Index("seals_by_subject", "subject", "number"),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Number, primary_key=True),
    instant("at", required=True),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("data", Text, nullable=False),
    # Its place in the chain, without a gap, and the digest of it and all before it; NULL from
    # before the chain began.
    Column("place", BigInteger),
    Column("digest", Text),
    Index("audit_by_subject", "subject", "number"),
    Index("audit_by_place", "place", unique=True, **where(CHAINED)),
    Index("audit_by_age", "at"),
)
