"""The table of parked writes: what is asked about by itself, and all the rest as one document."""

from sqlalchemy import Column, Index, Table

from amodal_rt.storage.columns import Number, Text, count, instant, metadata, where

WAITING = "status IN ('open', 'approved')"
"""Those that may still expire."""

parked_writes = Table(
    "parked_writes",
    metadata,
    Column("number", Number, primary_key=True),
    Column("id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("automation", Text, nullable=False),
    Column("status", Text, nullable=False),
    count("edited", 0),
    instant("expires_at", required=True),
    instant("finished_at"),
    Column("node", Text),
    Column("data", Text, nullable=False),
    Index("parked_writes_by_id", "id", unique=True),
    Index("parked_writes_by_run", "run_id"),
    Index("parked_writes_by_automation", "automation", "number"),
    Index("parked_writes_waiting", "expires_at", **where(WAITING)),
    Index("parked_writes_by_status", "status", "number"),
)
