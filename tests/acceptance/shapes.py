"""The documents of the contract, key by key."""

AUTOMATION = {
    "name", "id", "title", "triggers", "schedule", "timezone", "status", "reason", "stale",
    "signed", "next_run_at", "webhook_url", "last_run", "events",
}  # fmt: skip
LAST_RUN = {"run_id", "status", "started_at"}
RUN = {
    "run_id", "session_id", "automation", "title", "trigger", "status", "reason", "error",
    "requester", "depth", "attempt", "created_at", "scheduled_for", "scheduled_until", "count",
    "started_at", "finished_at", "duration_seconds", "deliveries", "usage", "model",
    "profile", "isolation",
}  # fmt: skip
RUN_IN_FULL = RUN | {"result", "event_id", "definition"}
USAGE = {"input_tokens", "output_tokens", "cost_usd", "turns"}
RESULT = {"text", "payload", "output"}
RUN_DELIVERY = {"target", "status", "attempts"}
RULING = {
    "scheduled_for",
    "scheduled_until",
    "count",
    "waits_for",
    "event_id",
    "run_id",
    "status",
    "reason",
    "rule",
    "definition",
}
EVENT = {"event_id", "type", "source", "received_at", "delivery_id", "missed", "runs"}
EVENT_RUN = {"run_id", "automation", "status", "reason"}
DELIVERY = {
    "delivery_id", "run_id", "automation", "kind", "target", "status", "attempts",
    "next_attempt_at", "last_error",
}  # fmt: skip
PROBLEM = {"file", "line", "column", "severity", "code", "message", "hint"}
ERROR = {"code", "kind", "message", "hint"}
MESSAGE = {"automation", "status", "timestamp", "run_id", "result", "truncated", "text"}
ALERT = {
    "automation", "status", "timestamp", "run_id", "reason", "error", "consecutive_failures", "text"
}  # fmt: skip

INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
RUN_ID = r"run_[0-9abcdefghjkmnpqrstvwxyz]{16}"
SESSION_ID = f"auto_{RUN_ID}"
HOOK = r"http://127\.0\.0\.1:\d+/webhooks/auto_[0-9abcdefghjkmnpqrstvwxyz]{16}"
