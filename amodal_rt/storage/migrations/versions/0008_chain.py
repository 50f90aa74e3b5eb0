"""The record as a chain: digests of journal and trail, and a seal for each run that ends."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TEXT

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ON_TRAIL = (
    "type IN ('write.started', 'write.finished', 'write.failed', 'write.parked', 'tool.denied',"
    " 'approval.answered', 'event.emitted', 'store.written', 'delivery.owed')"
)


def upgrade() -> None:
    """Columns and a table; what is older has no digest, and the chain begins by saying so."""
    op.add_column("journal", sa.Column("digest", _text()))
    _index("journal_on_trail", "journal", ["at"], where=_ON_TRAIL)
    op.add_column("audit", sa.Column("place", sa.BigInteger()))
    op.add_column("audit", sa.Column("digest", _text()))
    _index("audit_by_place", "audit", ["place"], where="place IS NOT NULL", unique=True)
    _index("audit_by_age", "audit", ["at"])
    op.create_table(
        "seals",
        sa.Column("number", _number(), nullable=False, autoincrement=False),
        sa.Column("kind", _text(), nullable=False),
        sa.Column("subject", _text(), nullable=False),
        sa.Column("entries", sa.Integer()),
        sa.Column("head", _text()),
        sa.Column("facts", _text()),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("digest", _text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    _index("seals_by_subject", "seals", ["subject", "number"])
    _begin()


def _begin() -> None:
    """The first row of the chain, where anything is older: up to which run, and how many rows."""
    connection = op.get_bind()
    older = {
        "runs": connection.execute(sa.text("SELECT MAX(number) FROM runs")).scalar() or 0,
        "audit": connection.execute(sa.text("SELECT COUNT(*) FROM audit")).scalar_one(),
    }
    if not any(older.values()):
        return
    now = (
        "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
        if connection.dialect.name == "postgresql"
        else "CAST(strftime('%s', 'now') AS INTEGER) * 1000"
    )
    at = connection.execute(sa.text(f"SELECT {now}")).scalar_one()
    data = json.dumps(older, separators=(",", ":"))
    row = (at, "chain.began", "chain", "amodal-rt", "upgrade", data)
    names = ("at", "action", "subject", "actor", "door", "data")
    connection.execute(
        sa.text(
            "INSERT INTO audit (at, action, subject, actor, door, data, place, digest)"
            " VALUES (:at, :action, :subject, :actor, :door, :data, 1, :digest)"
        ),
        {**dict(zip(names, row, strict=True)), "digest": _first_digest(row)},
    )


def _first_digest(row: tuple[str | int, ...]) -> str:
    spelt = "".join(f"{len(str(each))}:{each}" for each in row)
    return hashlib.sha256(hashlib.sha256(spelt.encode()).hexdigest().encode()).hexdigest()


def _index(
    name: str, table: str, columns: list[str], *, where: str | None = None, unique: bool = False
) -> None:
    condition = None if where is None else sa.text(where)
    op.create_index(
        name,
        table,
        columns,
        unique=unique,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _number() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text() -> sa.types.TypeEngine[str]:
    # Ordered by its bytes, whatever language the server speaks.
    return sa.Text().with_variant(TEXT(collation="C"), "postgresql")
