"""What nodes hold, and retries asked for of messages."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; every older row means the same without them."""
    op.add_column(
        "outbox",
        sa.Column("retried_at_attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("nodes", sa.Column("holds", sa.Text()))
