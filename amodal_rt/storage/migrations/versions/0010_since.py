"""Since when something is live under its name."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column; of what is live already, the oldest version that is kept says it."""
    op.add_column("live_definitions", sa.Column("since", sa.BigInteger()))
    op.execute(
        "UPDATE live_definitions SET since = (SELECT MIN(recorded_at) FROM definition_versions"
        " WHERE definition_versions.kind = live_definitions.kind"
        " AND definition_versions.name = live_definitions.name)"
    )
