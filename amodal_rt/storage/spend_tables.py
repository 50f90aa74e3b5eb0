"""The tables of what models cost. A day is its ISO date."""

from sqlalchemy import BigInteger, Column, Float, Table

from amodal_rt.storage.columns import Text, metadata

spending = Table(
    "spending",
    metadata,
    Column("day", Text, primary_key=True),
    Column("automation", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("unpriced_tokens", BigInteger, nullable=False),
    Column("cost_usd", Float, nullable=False),
)

spend_holds = Table(
    "spend_holds",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("step", Text, primary_key=True),
    Column("term", BigInteger, nullable=False),
    Column("automation", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("cost_usd", Float, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("unpriced_tokens", BigInteger, nullable=False),
)
