"""The tables of the ledger.

Instants are whole milliseconds since the Unix epoch (`…_at`, and slots), documents are JSON
text, durations do not occur. `number` orders rows by their insertion. Where an index has a
condition, queries must repeat it word for word or SQLite will not use the index.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    text,
)
from sqlalchemy import Text as AnyText
from sqlalchemy.dialects.postgresql import TEXT

metadata = MetaData()

# Ordered by its bytes on either database, whatever language the server speaks.
Text = AnyText().with_variant(TEXT(collation="C"), "postgresql")
# SQLite counts rows only in a column of exactly its own type.
Number = BigInteger().with_variant(Integer(), "sqlite")

PENDING = "status = 'pending'"
RUNNING = "status = 'running'"
OPEN = "status IN ('pending', 'running')"
REHEARSAL = "status = 'pending' AND rehearse = 1"
TIMED = "status = 'pending' AND not_before IS NOT NULL"
NOT_SKIPPED = "status <> 'skipped'"
TELLABLE = "status = 'completed' AND rehearsed = 0"
SENDING = "status = 'sending'"
WRITE = "type = 'write.started'"
UNANSWERED = "unanswered = 1"


def _instant(name: str, *, required: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=not required)


def _where(condition: str) -> dict[str, Any]:
    """The condition of a partial index, on either database."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _count(name: str, default: int) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default=text(str(default)))


definition_versions = Table(
    "definition_versions",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("hash", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("file", Text, nullable=False),
    _instant("recorded_at", required=True),
    Index("definition_versions_by_hash", "hash"),
)

live_definitions = Table(
    "live_definitions",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("file", Text, nullable=False),
    _instant("recorded_at", required=True),
)

events = Table(
    "events",
    metadata,
    Column("number", Number, primary_key=True),
    Column("id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("subject", Text),
    Column("actor", Text),
    Column("address", Text),
    Column("delivery_id", Text),
    _count("depth", 0),
    _count("missed", 0),
    Column("headers", Text, nullable=False),
    Column("data", Text),
    _instant("time", required=True),
    _instant("received_at", required=True),
    Index("events_by_id", "id", unique=True),
    Index("events_by_address", "address", "number", **_where("address IS NOT NULL")),
)

dedup_keys = Table(
    "dedup_keys",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    _instant("seen_at", required=True),
    Index("dedup_keys_by_age", "seen_at"),
    sqlite_with_rowid=False,
)

rejections = Table(
    "rejections",
    metadata,
    Column("number", Number, primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("automation", Text),
    Column("reason", Text, nullable=False),
    _instant("at", required=True),
    Index("rejections_by_endpoint", "endpoint", "number"),
)

rejection_counts = Table(
    "rejection_counts",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    _count("count", 0),
)

runs = Table(
    "runs",
    metadata,
    Column("number", Number, primary_key=True),
    Column("id", Text, nullable=False),
    Column("automation", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("rule", Text),
    Column("error", Text),
    Column("definition", Text, nullable=False),
    Column("event_id", Text),
    Column("payload", Text),
    _instant("scheduled_for"),
    _instant("scheduled_until"),
    Column("schedule_key", Text),
    _count("count", 1),
    _count("depth", 0),
    _count("attempt", 1),
    _count("term", 0),
    Column("requester", Text),
    Column("actor", Text),
    Column("door", Text),
    Column("conversation_key", Text),
    Column("idempotency_key", Text),
    _count("rehearse", 0),
    Column("concurrency", Integer, nullable=False),
    Column("on_limit", Text, nullable=False),
    Column("starts_per_hour", Integer),
    _instant("created_at", required=True),
    _instant("not_before"),
    _instant("started_at"),
    _instant("finished_at"),
    _count("input_tokens", 0),
    _count("output_tokens", 0),
    _count("turns", 0),
    Column("cost_usd", Float),
    Column("model", Text),
    _count("rehearsed", 0),
    Column("result_text", Text),
    Column("result_payload", Text),
    Column("output", Text),
    Column("node", Text),
    _count("resumes", 0),
    _count("cancel_asked", 0),
    Index("runs_by_id", "id", unique=True),
    Index("runs_by_automation", "automation", "number"),
    Index("runs_not_skipped", "automation", "number", **_where(NOT_SKIPPED)),
    Index("runs_by_event", "event_id", **_where("event_id IS NOT NULL")),
    # Holds all that a claim asks about, so that a long queue is looked through in the index.
    Index(
        "runs_pending",
        "number",
        "automation",
        "concurrency",
        "conversation_key",
        "reason",
        "not_before",
        "created_at",
        **_where(PENDING),
    ),
    Index("runs_waiting", "automation", "number", **_where(PENDING)),
    Index("runs_rehearsals", "number", **_where(REHEARSAL)),
    Index("runs_timed", "not_before", **_where(TIMED)),
    Index("runs_running", "number", **_where(RUNNING)),
    Index("runs_tellable", "automation", "finished_at", **_where(TELLABLE)),
)

occurrences = Table(
    "occurrences",
    metadata,
    Column("automation", Text, primary_key=True),
    Column("scheduled_for", BigInteger, primary_key=True, autoincrement=False),
    Column("run_id", Text, nullable=False),
    sqlite_with_rowid=False,
)

schedule_states = Table(
    "schedule_states",
    metadata,
    Column("automation", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    _instant("counted_from", required=True),
    _instant("last_slot"),
    sqlite_with_rowid=False,
)

journal = Table(
    "journal",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("type", Text, nullable=False),
    Column("step", Text),
    Column("parent", Text),
    _count("attempt", 1),
    _instant("at", required=True),
    Column("data", Text),
    Index("journal_writes", "at", "run_id", **_where(WRITE)),
)

outbox = Table(
    "outbox",
    metadata,
    Column("number", Number, primary_key=True),
    Column("id", Text, nullable=False),
    # None for what no run is the cause of: an alert about the workspace itself.
    Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE")),
    Column("automation", Text),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("owed_as", Text, nullable=False),
    Column("status", Text, nullable=False),
    _count("attempts", 0),
    _instant("created_at", required=True),
    _instant("expires_at", required=True),
    _instant("next_attempt_at"),
    _instant("finished_at"),
    Column("last_error", Text),
    Column("node", Text),
    Column("target_key", Text),
    # Given up, and nobody was told yet.
    _count("unanswered", 0),
    # How often it had been tried when somebody last asked for another try.
    _count("retried_at_attempt", 0),
    Index("outbox_by_id", "id", unique=True),
    Index("outbox_by_run", "run_id"),
    Index("outbox_due", "next_attempt_at", "expires_at", **_where(PENDING)),
    Index("outbox_sending", "number", **_where(SENDING)),
    Index("outbox_by_status", "status", "number"),
    Index("outbox_by_automation", "automation", "kind", "status"),
    Index("outbox_by_target", "target_key", "status"),
    Index("outbox_unanswered", "number", **_where(UNANSWERED)),
)

failure_states = Table(
    "failure_states",
    metadata,
    Column("automation", Text, primary_key=True),
    _count("consecutive", 0),
    _instant("alerted_at"),
    _count("alerting", 0),
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    _instant("started_at", required=True),
    _instant("seen_at", required=True),
    _instant("expires_at", required=True),
    _instant("gone_at"),
    # The automations that it can run, as JSON; NULL while that is not known.
    Column("holds", Text),
)

breakers = Table(
    "breakers",
    metadata,
    Column("target", Text, primary_key=True),
    Column("state", Text, nullable=False),
    _instant("open_until"),
    _instant("changed_at", required=True),
    Column("data", Text, nullable=False),
)

conditions = Table(
    "conditions",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("automation", Text),
    _instant("since", required=True),
    _instant("alerted_at"),
    _instant("cleared_at"),
    Column("data", Text, nullable=False),
)

automation_facts = Table(
    "automation_facts",
    metadata,
    Column("name", Text, primary_key=True),
    _count("paused", 0),
    Column("paused_reason", Text),
    _instant("paused_at"),
    _instant("resumed_at"),
    _count("rotation", 0),
)

facts = Table(
    "facts",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Number, primary_key=True),
    _instant("at", required=True),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("door", Text, nullable=False),
    Column("data", Text, nullable=False),
    Index("audit_by_subject", "subject", "number"),
)

store_items = Table(
    "store_items",
    metadata,
    Column("store", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("run_id", Text),
    _instant("updated_at", required=True),
    _instant("expires_at"),
    Index("store_items_by_age", "store", "updated_at"),
    Index("store_items_expiring", "expires_at", **_where("expires_at IS NOT NULL")),
)
