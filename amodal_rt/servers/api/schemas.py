"""The objects of the API as JSON Schema, in the words of OpenAPI 3.1."""

from collections.abc import Mapping

from amodal_rt.servers.spend_schemas import BUDGET, GROUP, USED

Schema = Mapping[str, object]

INSTANT: Schema = {"type": ["string", "null"], "format": "date-time"}
_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_OBJECT: Schema = {"type": "object"}
_OBJECT_OR_NULL: Schema = {"type": ["object", "null"]}


def ref(name: str) -> Schema:
    """One of `COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(
    required: Mapping[str, object], optional: Mapping[str, object] | None = None, *, about: str
) -> Schema:
    """An object. Of what we answer all is `required`, though it may be null."""
    return {
        "type": "object",
        "description": about,
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


def _page(item: str, about: str) -> Schema:
    return object_of(
        {
            "data": {"type": "array", "items": ref(item)},
            "before_cursor": _TEXT_OR_NULL,
            "after_cursor": _TEXT_OR_NULL,
            "has_more": {"type": "boolean"},
        },
        about=about,
    )


_RUN = object_of(
    {
        "id": {"type": "string", "pattern": "^atr_"},
        "app": _TEXT,
        "automation": {"type": "string", "pattern": "^aut_"},
        "automation_name": _TEXT,
        "status": {
            "enum": ["pending", "running", "completed", "failed", "cancelled", "skipped"],
        },
        "reason": _TEXT_OR_NULL,
        "event_id": _TEXT_OR_NULL,
        "payload": _OBJECT,
        "participants": _OBJECT_OR_NULL,
        "result": _OBJECT_OR_NULL,
        "user": _TEXT_OR_NULL,
        "team": _TEXT_OR_NULL,
        "created_at": INSTANT,
        "updated_at": INSTANT,
    },
    about="One execution. In lists, `payload` lacks what an event brought.",
)
_AUTOMATION = object_of(
    {
        "id": {"type": "string", "pattern": "^aut_"},
        "app": _TEXT,
        "name": _TEXT,
        "type": {"enum": ["trigger", "scheduled", "invoked"]},
        "status": {"enum": ["draft", "running", "paused"]},
        "description": _TEXT_OR_NULL,
        "trigger": _TEXT_OR_NULL,
        "schedule": _TEXT_OR_NULL,
        "timezone": _TEXT_OR_NULL,
        "config": _TEXT_OR_NULL,
        "lookup_key": _TEXT,
        "metadata": _OBJECT,
        "run_as_user": _TEXT_OR_NULL,
        "run_as_agent": _TEXT_OR_NULL,
        "invoke_auth": _TEXT_OR_NULL,
        "input_schema_config": _TEXT_OR_NULL,
        "input_schema": _OBJECT_OR_NULL,
        "prefills": _OBJECT_OR_NULL,
        "created_by_user": _TEXT_OR_NULL,
        "creator": _TEXT_OR_NULL,
        "created_at": INSTANT,
        "updated_at": INSTANT,
        "file": _TEXT,
        "next_run_at": INSTANT,
        "webhook_url": _TEXT_OR_NULL,
        "issue": {
            "oneOf": [
                object_of({"code": _TEXT, "message": _TEXT}, about="Why it cannot run."),
                {"type": "null"},
            ]
        },
    },
    about="What may run. `running` is the API's word for `active`; `webhook_url` is shown to "
    "tokens that may trigger. `config` is the workflow that runs; `input_schema` judges what "
    "callers give, `prefills` is what they cannot change.",
)
_ENTRY = object_of(
    {
        "id": {"type": "string", "pattern": "^wdr_"},
        "sequence": {"type": "integer", "minimum": 1},
        "type": _TEXT,
        "node_id": _TEXT_OR_NULL,
        "command_id": _TEXT_OR_NULL,
        "timer_id": _TEXT_OR_NULL,
        "record": _OBJECT,
        "created_at": INSTANT,
    },
    about="One step of a run.",
)
_JOURNAL = object_of(
    {
        "id": {"type": "string", "pattern": "^wde_"},
        "status": {
            "enum": ["pending", "running", "waiting", "completed", "failed", "cancelled"],
        },
        "current_sequence": {"type": "integer"},
        "created_at": INSTANT,
        "started_at": INSTANT,
        "completed_at": INSTANT,
        "updated_at": INSTANT,
    },
    about="How far a run is.",
)
_JOURNAL_PAGE = object_of(
    {
        "data": {"type": "array", "items": ref("JournalEntry")},
        "has_more": {"type": "boolean"},
        "after_cursor": _TEXT_OR_NULL,
        "before_cursor": {"type": "null"},
        "journal": {"oneOf": [ref("Journal"), {"type": "null"}]},
    },
    about="Steps in order, forward only.",
)
_PROBLEM = object_of(
    {
        "error": object_of(
            {"code": _TEXT, "message": _TEXT},
            {
                "kind": {
                    "enum": [
                        "invalid",
                        "not_found",
                        "conflict",
                        "denied",
                        "unavailable",
                        "timed_out",
                        "internal",
                    ]
                },
                "hint": _TEXT_OR_NULL,
            },
            about="`code` is stable; `hint` says what to do next.",
        )
    },
    about="What is wrong.",
)
_INVOKE: Schema = {
    "type": ["object", "null"],
    "description": "An invocation.",
    "properties": {
        "payload": _OBJECT_OR_NULL,
        "participants": _OBJECT_OR_NULL,
        "idempotency_key": _TEXT_OR_NULL,
    },
    "additionalProperties": False,
}
_INPUT: Schema = {
    "type": ["object", "null"],
    "description": "Fields of an Automation, or any key of an automation's file in either "
    "spelling. In a change, null takes a key away.",
    "properties": {
        "name": _TEXT,
        "type": {"enum": ["trigger", "scheduled", "invoked"]},
        "status": {"enum": ["draft", "running", "active", "paused"]},
        "description": _TEXT_OR_NULL,
        "lookup_key": _TEXT_OR_NULL,
        "metadata": _OBJECT_OR_NULL,
        "prompt": _TEXT_OR_NULL,
        "trigger": _TEXT_OR_NULL,
        "schedule": {"type": ["string", "object", "null"]},
    },
}

_SPEND = object_of(
    {
        "since": _TEXT,
        "until": _TEXT,
        "day_ends_at": INSTANT,
        "by": GROUP,
        "total": ref("SpendTotal"),
        "rows": {"type": "array", "items": ref("SpendRow")},
        "budgets": {"type": "array", "items": ref("Budget")},
    },
    about="What models cost on days of the workspace, `until` is today. Of `rows`, the dearest "
    "come first; of days, the newest.",
)
_BUDGET = object_of(
    BUDGET,
    about="How a budget of today stands; `automation` null is all of them together, `rule` the "
    "line that sets it.",
)

COMPONENTS: Mapping[str, Schema] = {
    "Automation": _AUTOMATION,
    "AutomationInput": _INPUT,
    "AutomationPage": _page("Automation", "Automations by name."),
    "AutomationRun": _RUN,
    "Budget": _BUDGET,
    "EventName": object_of({"name": _TEXT, "description": _TEXT_OR_NULL}, about="A type of event."),
    "Invocation": _INVOKE,
    "Journal": _JOURNAL,
    "JournalEntry": _ENTRY,
    "JournalPage": _JOURNAL_PAGE,
    "Problem": _PROBLEM,
    "RunPage": _page("AutomationRun", "Runs, newest first."),
    "Spend": _SPEND,
    "SpendRow": object_of(
        USED,
        {"automation": _TEXT, "model": _TEXT, "day": _TEXT},
        about="What one automation, model or day used: the key that was asked for names it.",
    ),
    "SpendTotal": object_of(USED, about="All of it together."),
}
"""By the name that `ref` takes."""
