"""Writes that a person decides on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A table of its own: older rows mean the same without it."""
    op.create_table(
        "parked_writes",
        sa.Column("number", _number(), primary_key=True),
        sa.Column("id", _text(), nullable=False),
        sa.Column("run_id", _text(), nullable=False),
        sa.Column("automation", _text(), nullable=False),
        sa.Column("status", _text(), nullable=False),
        sa.Column("edited", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("node", _text()),
        sa.Column("data", _text(), nullable=False),
    )
    op.create_index("parked_writes_by_id", "parked_writes", ["id"], unique=True)
    for name, columns in (
        ("by_run", ["run_id"]),
        ("by_automation", ["automation", "number"]),
        ("by_status", ["status", "number"]),
    ):
        op.create_index(f"parked_writes_{name}", "parked_writes", columns)
    waiting = sa.text("status IN ('open', 'approved')")
    op.create_index(
        "parked_writes_waiting",
        "parked_writes",
        ["expires_at"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )


def _number() -> sa.types.TypeEngine[int]:
    # SQLite counts rows only in a column of exactly its own type.
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text() -> sa.types.TypeEngine[str]:
    # Ordered by its bytes, whatever language the server speaks.
    return sa.Text().with_variant(TEXT(collation="C"), "postgresql")
