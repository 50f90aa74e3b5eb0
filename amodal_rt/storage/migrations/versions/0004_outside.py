"""The bus, order within conversations, starts that become one, gates, remote triggers, tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns, indexes and tables; every older row means the same without them."""
    _events()
    _runs()
    _tables()


def _events() -> None:
    op.add_column("events", sa.Column("cause", _text()))
    op.add_column("events", sa.Column("order_key", _text()))
    op.add_column("events", _count("unmatched"))
    _index("events_unmatched", "events", ["number"], "unmatched = 1")


def _runs() -> None:
    op.add_column("runs", sa.Column("order_key", _text()))
    op.add_column("runs", sa.Column("coalesce_key", _text()))
    op.add_column("runs", sa.Column("coalesce_since", sa.BigInteger()))
    op.add_column("runs", _count("superseded"))
    op.add_column("runs", sa.Column("fault", _text()))
    speaking = ["automation", "conversation_key", "order_key", "number"]
    _index("runs_in_order", "runs", speaking, "status = 'pending' AND order_key IS NOT NULL")
    _index("runs_begun", "runs", speaking, "order_key IS NOT NULL AND started_at IS NOT NULL")
    _index(
        "runs_idempotent",
        "runs",
        ["automation", "idempotency_key", "created_at"],
        "idempotency_key IS NOT NULL AND status <> 'skipped'",
    )
    _index(
        "runs_coalescing",
        "runs",
        ["automation", "coalesce_key", "number"],
        "status = 'pending' AND coalesce_key IS NOT NULL",
    )


def _tables() -> None:
    op.create_table(
        "gate_values",
        sa.Column("automation", _text(), nullable=False),
        sa.Column("value", _text(), nullable=False),
        sa.Column("run_id", _text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("automation"),
    )
    op.create_table(
        "remote_triggers",
        sa.Column("automation", _text(), nullable=False),
        sa.Column("key", _text(), nullable=False),
        sa.Column("connection", _text(), nullable=False),
        sa.Column("type", _text(), nullable=False),
        sa.Column("params", _text(), nullable=False),
        sa.Column("digest", _text(), nullable=False),
        sa.Column("state", _text(), nullable=False),
        sa.Column("configured_at", sa.BigInteger(), nullable=False),
        sa.Column("error", _text()),
        sa.PrimaryKeyConstraint("automation", "key"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", _text(), nullable=False),
        sa.Column("name", _text(), nullable=False),
        sa.Column("digest", _text(), nullable=False),
        sa.Column("scopes", _text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _text(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
    )
    _index("tokens_by_name", "tokens", ["name"], "revoked_at IS NULL", unique=True)


def _index(name: str, table: str, columns: list[str], rows: str, *, unique: bool = False) -> None:
    condition = sa.text(rows)
    op.create_index(
        name,
        table,
        columns,
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _text() -> sa.types.TypeEngine[str]:
    # Ordered by its bytes, whatever language the server speaks.
    return sa.Text().with_variant(TEXT(collation="C"), "postgresql")


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)
