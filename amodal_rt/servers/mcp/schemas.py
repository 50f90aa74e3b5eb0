"""What the tools answer, as JSON Schema (2020-12)."""

from collections.abc import Mapping

from amodal_rt.servers.spend_schemas import BUDGET, GROUP, USED

Schema = Mapping[str, object]

_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["string", "null"]}
_INSTANT: Schema = {"type": ["string", "null"], "format": "date-time"}
_BOOL: Schema = {"type": "boolean"}
_OBJECT: Schema = {"type": ["object", "null"]}
_ANY: Schema = {}


def answer(properties: Mapping[str, object], *required: str) -> Schema:
    """An object; all of it is there unless some of it is named as `required`."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required or properties),
    }


def _several(item: Schema) -> Schema:
    return {"type": "array", "items": item}


_ROW: Mapping[str, object] = {
    "id": _TEXT,
    "lookup_key": _TEXT,
    "name": _TEXT,
    "active": _BOOL,
    "status": {"enum": ["active", "draft", "paused", "invalid"]},
    "reason": _MAYBE,
    "created_by": _MAYBE,
    "created_at": _INSTANT,
    "nearest_next_run_at": _INSTANT,
    "virtual_mcp_id": _MAYBE,
}
_TRIGGER = answer(
    {
        "id": _TEXT,
        "type": {"enum": ["cron", "event", "webhook"]},
        "cron_expression": _MAYBE,
        "timezone": _MAYBE,
        "connection_id": _MAYBE,
        "event_type": _MAYBE,
        "event_types": _several(_TEXT),
        "params": _OBJECT,
        "url": _MAYBE,
        "last_run_at": _INSTANT,
        "created_at": _INSTANT,
    }
)
_WHOLE = answer(
    {
        **_ROW,
        "updated_at": _INSTANT,
        "description": _MAYBE,
        "file": _TEXT,
        "messages": _several({"type": "object"}),
        "workflow": _MAYBE,
        "models": _OBJECT,
        "temperature": {"type": ["number", "null"]},
        "tools": {"type": ["array", "null"], "items": _TEXT},
        "writes": _MAYBE,
        "triggers": _several(_TRIGGER),
    }
)
_RUN: Mapping[str, object] = {
    "threadId": _TEXT,
    "run_id": _TEXT,
    "automation": _TEXT,
    "status": {"enum": ["pending", "running", "completed", "failed", "cancelled", "skipped"]},
    "reason": _MAYBE,
    "error": _MAYBE,
    "depth": {"type": "integer"},
    "created_at": _INSTANT,
}

CREATED = answer({"id": _TEXT, "name": _TEXT, "active": _BOOL, "created_at": _INSTANT})
UPDATED = answer({"id": _TEXT, "name": _TEXT, "active": _BOOL, "updated_at": _INSTANT})
AUTOMATION = answer({"automation": {"anyOf": [_WHOLE, {"type": "null"}]}})
AUTOMATIONS = answer(
    {"automations": _several(answer({**_ROW, "trigger_count": {"type": "integer"}}))}
)
SUCCESS = answer({"success": _BOOL})
TRIGGER_ADDED = answer(
    {
        "id": _TEXT,
        "automation_id": _TEXT,
        "type": {"enum": ["cron", "event", "webhook"]},
        "url": _MAYBE,
        "created_at": _INSTANT,
    }
)
STARTED = answer(
    {
        "threadId": _MAYBE,
        "error": _MAYBE,
        "skipped": _MAYBE,
        "run_id": _TEXT,
        "status": _RUN["status"],
        "active": _BOOL,
    }
)
RUNS = answer(
    {
        "runs": _several(answer(_RUN)),
        "before_cursor": _MAYBE,
        "after_cursor": _MAYBE,
        "has_more": _BOOL,
    }
)
RUN = answer(
    {
        "run": answer({**_RUN, "payload": _ANY, "result": _OBJECT}),
        "journal": answer(
            {
                "entries": _several(
                    answer(
                        {
                            "sequence": {"type": "integer"},
                            "type": _TEXT,
                            "at": _INSTANT,
                            "data": {"type": "object"},
                        }
                    )
                ),
                "after_cursor": _MAYBE,
                "has_more": _BOOL,
            }
        ),
    }
)
SPEND = answer(
    {
        "since": _TEXT,
        "until": _TEXT,
        "day_ends_at": _INSTANT,
        "by": GROUP,
        "total": answer(USED),
        "rows": _several(
            answer({"automation": _TEXT, "model": _TEXT, "day": _TEXT, **USED}, *USED)
        ),
        "budgets": _several(answer(BUDGET)),
    }
)
RECEIPT = answer(
    {
        "status": {"enum": ["accepted", "duplicate"]},
        "event_id": _TEXT,
        "runs": _several({"type": "object"}),
        "hint": _MAYBE,
    },
    "status",
    "event_id",
    "runs",
)
