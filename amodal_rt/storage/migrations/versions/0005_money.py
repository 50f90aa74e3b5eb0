"""What models cost, day by day, and what is held back for requests under way."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables of their own: older rows mean the same without them."""
    op.create_table(
        "spending",
        sa.Column("day", _text(), nullable=False),
        sa.Column("automation", _text(), nullable=False),
        sa.Column("model", _text(), nullable=False),
        _whole("requests"),
        _whole("input_tokens"),
        _whole("output_tokens"),
        _whole("unpriced_tokens"),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("day", "automation", "model"),
    )
    op.create_table(
        "spend_holds",
        sa.Column("run_id", _text(), nullable=False),
        sa.Column("step", _text(), nullable=False),
        _whole("term"),
        sa.Column("automation", _text(), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        _whole("tokens"),
        _whole("unpriced_tokens"),
        sa.PrimaryKeyConstraint("run_id", "step"),
    )


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _text() -> sa.types.TypeEngine[str]:
    # Ordered by its bytes, whatever language the server speaks.
    return sa.Text().with_variant(TEXT(collation="C"), "postgresql")
