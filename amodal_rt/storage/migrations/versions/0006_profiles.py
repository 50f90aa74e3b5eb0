"""The sandbox profile that a run began in."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column; every older run had no profile."""
    # Ordered by its bytes, whatever language the server speaks.
    text = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
    op.add_column("runs", sa.Column("profile", text))
