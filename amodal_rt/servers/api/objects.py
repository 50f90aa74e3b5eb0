"""Runs, journals and their entries as the published client reads them (façade prefixes)."""

from amodal_rt import ids
from amodal_rt.clock import iso
from amodal_rt.domain.journal import UNSHOWN, Entry
from amodal_rt.domain.run import Run, RunStatus
from amodal_rt.operations.run_pages import JournalPage

Object = dict[str, object]

LOCAL_APP = "dap_local"
"""The app of a door that names none: there is one workspace."""

_OUTCOMES = {"finished": "completed"}


def run_ref(run_id: str) -> str:
    """`atr_…` for `run_…`."""
    return f"atr_{_suffix(run_id)}"


def run_object(run: Run, *, app: str = LOCAL_APP, payload: object = None) -> Object:
    """An AutomationRun. What is no object is put under `value`; nobody takes part in a run."""
    changed = run.finished_at or run.started_at or run.created_at
    return {
        "id": run_ref(run.run_id),
        "app": app,
        "automation": ids.automation(run.automation),
        "automation_name": run.automation,
        "status": run.status.value,
        "reason": run.reason,
        "event_id": run.event_id or run.idempotency_key,
        "payload": _as_object(payload),
        "participants": None,
        "result": _result(run),
        "user": run.requester,
        "team": None,
        "created_at": iso(run.created_at),
        "updated_at": iso(changed),
    }


def journal_object(page: JournalPage) -> Object:
    """A RunJournalPage; `journal` is null before the run has any entry."""
    return {
        "data": [entry_object(each) for each in page.entries],
        "has_more": page.after is not None,
        "after_cursor": page.after,
        "before_cursor": None,
        "journal": _journal(page) if page.last else None,
    }


def entry_object(entry: Entry) -> Object:
    """One record. `type` is the entry's with `_` for `.`, and `node_completed` for an outcome."""
    room, _, what = entry.type.value.partition(".")
    node = entry.data.get("node") if room == "node" else None
    return {
        "id": f"wdr_{_suffix(entry.run_id)}_{entry.sequence}",
        "sequence": entry.sequence,
        "type": f"{room}_{_OUTCOMES.get(what, what)}" if room == "node" else f"{room}_{what}",
        "node_id": node if isinstance(node, str) else None,
        "command_id": entry.step,
        "timer_id": None,
        "record": {
            "attempt": entry.attempt,
            "parent": entry.parent,
            **{key: each for key, each in entry.data.items() if key not in UNSHOWN},
        },
        "created_at": iso(entry.at),
    }


def _journal(page: JournalPage) -> Object:
    run = page.run
    waits = run.status is RunStatus.PENDING and run.reason is not None
    skipped = run.status is RunStatus.SKIPPED
    status = "waiting" if waits else "cancelled" if skipped else run.status.value
    return {
        "id": f"wde_{_suffix(run.run_id)}",
        "status": status,
        "current_sequence": page.last,
        "created_at": iso(run.created_at),
        "started_at": iso(run.started_at),
        "completed_at": iso(run.finished_at),
        "updated_at": iso(page.entries[-1].at if page.entries else run.created_at),
    }


def _result(run: Run) -> Object | None:
    match run.status:
        case RunStatus.COMPLETED:
            result: Object = {"payload": run.result_payload, "output": list(run.output)}
            return {**result, "text": run.result_text} if run.result_text is not None else result
        case RunStatus.FAILED | RunStatus.CANCELLED | RunStatus.SKIPPED:
            return {"error": run.error or run.rule or run.reason or run.status.value}
        case _:
            return None


def _as_object(value: object) -> object:
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"value": value}  # pyright: ignore[reportUnknownVariableType]


def _suffix(run_id: str) -> str:
    return run_id.removeprefix("run_")
