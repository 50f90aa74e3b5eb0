"""What is held back says for which model and which day, so that it can be counted as used."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A new table: nobody waits for what was held before the upgrade."""
    op.drop_table("spend_holds")
    op.create_table(
        "spend_holds",
        _word("run_id"),
        _word("step"),
        _whole("term"),
        _word("automation"),
        _word("model"),
        _word("day"),
        sa.Column("cost_usd", sa.Float(), nullable=False),
        _whole("tokens"),
        _whole("unpriced_tokens"),
        sa.PrimaryKeyConstraint("run_id", "step"),
    )


def _whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _word(name: str) -> sa.Column[str]:
    # Ordered by its bytes, whatever language the server speaks.
    text = sa.Text().with_variant(TEXT(collation="C"), "postgresql")
    return sa.Column(name, text, nullable=False)
