"""What nodes hold, rehearsals that wait, and retries asked for of messages."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add an index and columns; every older row means the same without them."""
    rehearsal = sa.text("status = 'pending' AND rehearse = 1")
    op.create_index(
        "runs_rehearsals",
        "runs",
        ["number"],
        sqlite_where=rehearsal,
        postgresql_where=rehearsal,
    )
    op.add_column(
        "outbox",
        sa.Column("retried_at_attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("nodes", sa.Column("holds", sa.Text()))
