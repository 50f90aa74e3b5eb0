"""Nodes, leases and resumed runs; breakers and conditions; messages without a run."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and tables; `outbox` is made anew, as SQLite cannot loosen a column."""
    op.add_column("runs", sa.Column("node", sa.Text()))
    op.add_column("runs", _count("resumes"))
    op.add_column("runs", _count("cancel_asked"))
    with op.batch_alter_table("outbox") as outbox:
        outbox.alter_column("run_id", existing_type=sa.Text(), nullable=True)
        outbox.alter_column("automation", existing_type=sa.Text(), nullable=True)
        outbox.add_column(sa.Column("node", sa.Text()))
        outbox.add_column(sa.Column("target_key", sa.Text()))
        outbox.add_column(_count("unanswered"))
    op.create_index("outbox_by_target", "outbox", ["target_key", "status"])
    unanswered = sa.text("unanswered = 1")
    op.create_index(
        "outbox_unanswered",
        "outbox",
        ["number"],
        sqlite_where=unanswered,
        postgresql_where=unanswered,
    )
    _nodes()
    _delivery()


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)


def _nodes() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
    )


def _delivery() -> None:
    op.create_table(
        "breakers",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("open_until", sa.BigInteger()),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("target"),
    )
    op.create_table(
        "conditions",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text()),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("alerted_at", sa.BigInteger()),
        sa.Column("cleared_at", sa.BigInteger()),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
