"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table of the first version."""
    _definitions()
    _events()
    _rejections()
    _runs()
    _schedules()
    _journal()
    _outbox()
    _outbox_indexes()
    _failure_states()
    _facts()
    _stores()


def _definitions() -> None:
    op.create_table(
        "definition_versions",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", "hash"),
    )
    op.create_index("definition_versions_by_hash", "definition_versions", ["hash"], unique=False)
    op.create_table(
        "live_definitions",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("delivery_id", sa.Text(), nullable=True),
        sa.Column("depth", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("missed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=True),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(
        "events_by_address",
        "events",
        ["address", "number"],
        unique=False,
        sqlite_where=sa.text("address IS NOT NULL"),
    )
    op.create_index("events_by_id", "events", ["id"], unique=True)
    op.create_table(
        "dedup_keys",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("dedup_keys_by_age", "dedup_keys", ["seen_at"], unique=False)


def _rejections() -> None:
    op.create_table(
        "rejections",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("rejections_by_endpoint", "rejections", ["endpoint", "number"], unique=False)
    op.create_table(
        "rejection_counts",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "reason"),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("rule", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("scheduled_for", sa.BigInteger(), nullable=True),
        sa.Column("scheduled_until", sa.BigInteger(), nullable=True),
        sa.Column("schedule_key", sa.Text(), nullable=True),
        sa.Column("count", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("depth", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("term", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("requester", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("door", sa.Text(), nullable=True),
        sa.Column("conversation_key", sa.Text(), nullable=True),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("rehearse", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("on_limit", sa.Text(), nullable=False),
        sa.Column("starts_per_hour", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("input_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("output_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("turns", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_usd", sa.Float(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("rehearsed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("result_text", sa.Text(), nullable=True),
        sa.Column("result_payload", sa.Text(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
    )
    _run_indexes()
    _open_run_indexes()


def _run_indexes() -> None:
    op.create_index("runs_by_automation", "runs", ["automation", "number"], unique=False)
    op.create_index(
        "runs_by_event",
        "runs",
        ["event_id"],
        unique=False,
        sqlite_where=sa.text("event_id IS NOT NULL"),
    )
    op.create_index("runs_by_id", "runs", ["id"], unique=True)
    op.create_index(
        "runs_not_skipped",
        "runs",
        ["automation", "number"],
        unique=False,
        sqlite_where=sa.text("status <> 'skipped'"),
    )


def _open_run_indexes() -> None:
    op.create_index(
        "runs_pending",
        "runs",
        [
            "number",
            "automation",
            "concurrency",
            "conversation_key",
            "reason",
            "not_before",
            "created_at",
        ],
        unique=False,
        sqlite_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "runs_running", "runs", ["number"], unique=False, sqlite_where=sa.text("status = 'running'")
    )
    op.create_index(
        "runs_tellable",
        "runs",
        ["automation", "finished_at"],
        unique=False,
        sqlite_where=sa.text("status = 'completed' AND rehearsed = 0"),
    )
    op.create_index(
        "runs_timed",
        "runs",
        ["not_before"],
        unique=False,
        sqlite_where=sa.text("status = 'pending' AND not_before IS NOT NULL"),
    )
    op.create_index(
        "runs_waiting",
        "runs",
        ["automation", "number"],
        unique=False,
        sqlite_where=sa.text("status = 'pending'"),
    )


def _schedules() -> None:
    op.create_table(
        "occurrences",
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("scheduled_for", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("automation", "scheduled_for"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "schedule_states",
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("counted_from", sa.BigInteger(), nullable=False),
        sa.Column("last_slot", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("automation", "key"),
        sqlite_with_rowid=False,
    )


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("parent", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "sequence"),
    )
    op.create_index(
        "journal_writes",
        "journal",
        ["at", "run_id"],
        unique=False,
        sqlite_where=sa.text("type = 'write.started'"),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("owed_as", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("number"),
    )


def _outbox_indexes() -> None:
    op.create_index(
        "outbox_by_automation", "outbox", ["automation", "kind", "status"], unique=False
    )
    op.create_index("outbox_by_id", "outbox", ["id"], unique=True)
    op.create_index("outbox_by_run", "outbox", ["run_id"], unique=False)
    op.create_index("outbox_by_status", "outbox", ["status", "number"], unique=False)
    op.create_index(
        "outbox_due",
        "outbox",
        ["next_attempt_at", "expires_at"],
        unique=False,
        sqlite_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "outbox_sending",
        "outbox",
        ["number"],
        unique=False,
        sqlite_where=sa.text("status = 'sending'"),
    )


def _failure_states() -> None:
    op.create_table(
        "failure_states",
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("consecutive", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("alerted_at", sa.BigInteger(), nullable=True),
        sa.Column("alerting", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("automation"),
    )


def _facts() -> None:
    op.create_table(
        "automation_facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("paused", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("resumed_at", sa.BigInteger(), nullable=True),
        sa.Column("rotation", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "facts",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("audit_by_subject", "audit", ["subject", "number"], unique=False)


def _stores() -> None:
    op.create_table(
        "store_items",
        sa.Column("store", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("store", "key"),
    )
    op.create_index("store_items_by_age", "store_items", ["store", "updated_at"], unique=False)
    op.create_index(
        "store_items_expiring",
        "store_items",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("expires_at IS NOT NULL"),
    )
