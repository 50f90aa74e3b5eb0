"""The tables of the ledger.

Instants are whole milliseconds since the Unix epoch (`…_at`, and slots), documents are JSON
text, durations do not occur. `number` orders rows by their insertion. Where an index has a
condition, queries must repeat it word for word or SQLite will not use the index.
"""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, Table

from amodal_rt.storage import parked_table, record_tables, spend_tables
from amodal_rt.storage.columns import Number, Text, count, instant, metadata, where

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
UNMATCHED = "unmatched = 1"
IN_ORDER = "status = 'pending' AND order_key IS NOT NULL"
BEGUN = "order_key IS NOT NULL AND started_at IS NOT NULL"
IDEMPOTENT = "idempotency_key IS NOT NULL AND status <> 'skipped'"
COALESCING = "status = 'pending' AND coalesce_key IS NOT NULL"
VALID = "revoked_at IS NULL"
ON_TRAIL = (
    "type IN ('write.started', 'write.finished', 'write.failed', 'write.parked', 'tool.denied',"
    " 'approval.answered', 'event.emitted', 'store.written', 'delivery.owed')"
)

definition_versions = Table(
    "definition_versions",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("hash", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("file", Text, nullable=False),
    instant("recorded_at", required=True),
    Index("definition_versions_by_hash", "hash"),
)

live_definitions = Table(
    "live_definitions",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("file", Text, nullable=False),
    instant("recorded_at", required=True),
    instant("since"),
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
    count("depth", 0),
    count("missed", 0),
    Column("headers", Text, nullable=False),
    Column("data", Text),
    instant("time", required=True),
    instant("received_at", required=True),
    # The run that it comes from, where one of ours is known.
    Column("cause", Text),
    Column("order_key", Text),
    # Stored, and still to be matched.
    count("unmatched", 0),
    Index("events_by_id", "id", unique=True),
    Index("events_by_address", "address", "number", **where("address IS NOT NULL")),
    Index("events_unmatched", "number", **where(UNMATCHED)),
)

dedup_keys = Table(
    "dedup_keys",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("event_id", Text, nullable=False),
    instant("seen_at", required=True),
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
    instant("at", required=True),
    Index("rejections_by_endpoint", "endpoint", "number"),
)

rejection_counts = Table(
    "rejection_counts",
    metadata,
    Column("endpoint", Text, primary_key=True),
    Column("reason", Text, primary_key=True),
    count("count", 0),
)

_SPEAKING = ("automation", "conversation_key", "order_key", "number")

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
    instant("scheduled_for"),
    instant("scheduled_until"),
    Column("schedule_key", Text),
    count("count", 1),
    count("depth", 0),
    count("attempt", 1),
    count("term", 0),
    Column("requester", Text),
    Column("actor", Text),
    Column("door", Text),
    Column("conversation_key", Text),
    Column("idempotency_key", Text),
    count("rehearse", 0),
    Column("concurrency", Integer, nullable=False),
    Column("on_limit", Text, nullable=False),
    Column("starts_per_hour", Integer),
    instant("created_at", required=True),
    instant("not_before"),
    instant("started_at"),
    instant("finished_at"),
    count("input_tokens", 0),
    count("output_tokens", 0),
    count("turns", 0),
    Column("cost_usd", Float),
    Column("model", Text),
    count("rehearsed", 0),
    Column("result_text", Text),
    Column("result_payload", Text),
    Column("output", Text),
    Column("node", Text),
    count("resumes", 0),
    count("cancel_asked", 0),
    Column("order_key", Text),
    Column("coalesce_key", Text),
    # When the first of those that became one was made.
    instant("coalesce_since"),
    count("superseded", 0),
    Column("fault", Text),
    # Of the profile that it began in: its label, hash and isolation, as JSON.
    Column("profile", Text),
    Index("runs_by_id", "id", unique=True),
    Index("runs_by_automation", "automation", "number"),
    Index("runs_not_skipped", "automation", "number", **where(NOT_SKIPPED)),
    Index("runs_by_event", "event_id", **where("event_id IS NOT NULL")),
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
        **where(PENDING),
    ),
    Index("runs_waiting", "automation", "number", **where(PENDING)),
    Index("runs_rehearsals", "number", **where(REHEARSAL)),
    Index("runs_timed", "not_before", **where(TIMED)),
    Index("runs_running", "number", **where(RUNNING)),
    Index("runs_tellable", "automation", "finished_at", **where(TELLABLE)),
    Index("runs_in_order", *_SPEAKING, **where(IN_ORDER)),
    Index("runs_begun", *_SPEAKING, **where(BEGUN)),
    Index("runs_idempotent", "automation", "idempotency_key", "created_at", **where(IDEMPOTENT)),
    Index("runs_coalescing", "automation", "coalesce_key", "number", **where(COALESCING)),
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
    instant("counted_from", required=True),
    instant("last_slot"),
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
    count("attempt", 1),
    instant("at", required=True),
    Column("data", Text),
    # Of this entry and all before it; NULL from before the chain began.
    Column("digest", Text),
    Index("journal_writes", "at", "run_id", **where(WRITE)),
    Index("journal_on_trail", "at", **where(ON_TRAIL)),
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
    count("attempts", 0),
    instant("created_at", required=True),
    instant("expires_at", required=True),
    instant("next_attempt_at"),
    instant("finished_at"),
    Column("last_error", Text),
    Column("node", Text),
    Column("target_key", Text),
    # Given up, and nobody was told yet.
    count("unanswered", 0),
    # How often it had been tried when somebody last asked for another try.
    count("retried_at_attempt", 0),
    Index("outbox_by_id", "id", unique=True),
    Index("outbox_by_run", "run_id"),
    Index("outbox_due", "next_attempt_at", "expires_at", **where(PENDING)),
    Index("outbox_sending", "number", **where(SENDING)),
    Index("outbox_by_status", "status", "number"),
    Index("outbox_by_automation", "automation", "kind", "status"),
    Index("outbox_by_target", "target_key", "status"),
    Index("outbox_unanswered", "number", **where(UNANSWERED)),
)

failure_states = Table(
    "failure_states",
    metadata,
    Column("automation", Text, primary_key=True),
    count("consecutive", 0),
    instant("alerted_at"),
    count("alerting", 0),
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    instant("started_at", required=True),
    instant("seen_at", required=True),
    instant("expires_at", required=True),
    instant("gone_at"),
    # The automations that it can run, as JSON; NULL while that is not known.
    Column("holds", Text),
)

breakers = Table(
    "breakers",
    metadata,
    Column("target", Text, primary_key=True),
    Column("state", Text, nullable=False),
    instant("open_until"),
    instant("changed_at", required=True),
    Column("data", Text, nullable=False),
)

conditions = Table(
    "conditions",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("automation", Text),
    instant("since", required=True),
    instant("alerted_at"),
    instant("cleared_at"),
    Column("data", Text, nullable=False),
)

automation_facts = Table(
    "automation_facts",
    metadata,
    Column("name", Text, primary_key=True),
    count("paused", 0),
    Column("paused_reason", Text),
    instant("paused_at"),
    instant("resumed_at"),
    count("rotation", 0),
)

facts = Table(
    "facts",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

store_items = Table(
    "store_items",
    metadata,
    Column("store", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("run_id", Text),
    instant("updated_at", required=True),
    instant("expires_at"),
    Index("store_items_by_age", "store", "updated_at"),
    Index("store_items_expiring", "expires_at", **where("expires_at IS NOT NULL")),
)

gate_values = Table(
    "gate_values",
    metadata,
    Column("automation", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    instant("at", required=True),
)

remote_triggers = Table(
    "remote_triggers",
    metadata,
    Column("automation", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("connection", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    instant("configured_at", required=True),
    Column("error", Text),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    instant("created_at", required=True),
    Column("created_by", Text, nullable=False),
    instant("revoked_at"),
    # A name opens at most one door at a time.
    Index("tokens_by_name", "name", unique=True, **where(VALID)),
)

audit, seals = record_tables.audit, record_tables.seals
parked_writes = parked_table.parked_writes
spending, spend_holds = spend_tables.spending, spend_tables.spend_holds
