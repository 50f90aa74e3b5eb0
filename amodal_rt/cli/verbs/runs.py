"""`ops runs …`."""

import json
from collections.abc import Mapping
from typing import Any

from amodal_rt.cli import output as codes
from amodal_rt.cli import table
from amodal_rt.cli.verbs import journal
from amodal_rt.cli.verbs.door import Document, Door, wanted

_HEADS = ("Run ID", "Automation", "Trigger", "Started", "Duration", "Status", "Output")


def list_all(door: Door, *, automation: str | None, status: str | None, limit: int) -> int:
    """Runs of all automations, newest first."""
    params = wanted(automation=automation, status=status, limit=limit)
    rows = door.daemon.get("/v1/runs", params)
    return door.output.rows(
        rows,
        _HEADS,
        lambda row: (
            row["run_id"],
            row["automation"],
            row["trigger"],
            table.instant(row["started_at"] or row["created_at"]),
            table.seconds(row["duration_seconds"]),
            row["status"] + (f"/{row['reason']}" if row["reason"] else ""),
            labels(row),
        ),
        empty="No runs yet.",
    )


def labels(row: Mapping[str, Any]) -> str:
    """Where the result went: `#reports`, with the status of what has not arrived."""
    shown = [
        each["target"] if each["status"] == "delivered" else f"{each['target']} ({each['status']})"
        for each in row["deliveries"] or ()
    ]
    return ", ".join(shown) or "-"


def show(door: Door, run_id: str) -> int:
    """One run with its result."""
    run = door.daemon.get(f"/v1/runs/{run_id}")
    if door.output.as_json:
        door.output.document(run)
    else:
        show_run(door, run, brief=False)
    return codes.OK


def show_run(door: Door, run: Document, *, brief: bool) -> None:
    """A finished run in words: its result, then one closing line."""
    say = door.output.say
    if not brief:
        say(f'{run["run_id"]}  {run["automation"]}  "{run["title"]}"')
        for label, value in _facts(run):
            say(f"  {label:<11} {value}")
    result: Document = run.get("result") or {}
    text = result.get("text")
    if text:
        say(text if brief else f"  result\n{text}")
    if result.get("output") and not brief:
        say("  output\n" + "\n".join(result["output"]))
    if run["error"]:
        door.output.remark(f"{run['status']}: {run['error']}")
    if brief:
        say("pending: it waits for a person's answer" if asks(run) else _closing(run))


def _closing(run: Document) -> str:
    took = table.seconds(run["duration_seconds"])
    closing = f"{_status(run)} in {took}, {_used(run['usage'])}"
    return closing + (f", delivered to {labels(run)}" if run["deliveries"] else "")


def _used(usage: Document) -> str:
    """`1234 tokens, $0.02`; of an agent that is a program and tells its cost alone, that."""
    tokens, cost = usage["input_tokens"] + usage["output_tokens"], usage["cost_usd"]
    if not cost:
        return f"{tokens} tokens"
    return f"{tokens} tokens, {table.dollars(cost)}" if tokens else table.dollars(cost)


def _status(run: Document) -> str:
    return run["status"] + (f" ({run['reason']})" if run["reason"] else "")


def _facts(run: Document) -> list[tuple[str, str]]:
    facts = [
        ("status", _closing(run) if run["finished_at"] else _status(run)),
        ("trigger", run["trigger"]),
        ("slot", run["scheduled_for"] and table.instant(run["scheduled_for"])),
        ("event", run.get("event_id")),
        ("created", table.instant(run["created_at"])),
        ("started", run["started_at"] and table.instant(run["started_at"])),
        ("model", run["model"]),
        ("attempt", run["attempt"] if run["attempt"] > 1 else None),
        ("requester", run["requester"]),
        ("profile", _profile(run)),
        ("definition", (run.get("definition") or "")[:12]),
        ("payload", _payload(run)),
    ]
    return [(label, str(value)) for label, value in facts if value]


def _profile(run: Document) -> str | None:
    label: str | None = run.get("profile")
    return f"{label}, no isolation" if label and run["isolation"] == "none" else label


def _payload(run: Document) -> str | None:
    result: Document = run.get("result") or {}
    payload, text = result.get("payload"), result.get("text")
    # Of a workflow the text is the payload once more, and is shown as the result.
    same = payload in (None, text) or text == json.dumps(payload, ensure_ascii=False)
    return None if same else json.dumps(payload)


def logs(door: Door, run_id: str, *, follow: bool) -> int:
    """A run's journal, as JSON Lines with `--json`; `-f` goes on until the run has ended."""
    journal.print_entries(door, run_id, follow=follow)
    return codes.OK


def cancel(door: Door, run_id: str) -> int:
    """End a run that has not ended yet."""
    run = door.daemon.post(f"/v1/runs/{run_id}/cancel")
    return door.output.answer(run, f"{run['run_id']} {run['status']}")


def replay(door: Door, run_id: str) -> int:
    """Start a new run from the same event or payload."""
    run = door.daemon.post(f"/v1/runs/{run_id}/replay")
    return door.output.answer(
        run, f"{run['run_id']}  session {run['session_id']}  again from {run_id}"
    )


def asks(run: Document) -> bool:
    """Whether it waits for a person's answer, which it goes on with."""
    return run["status"] == "pending" and run["reason"] == "awaiting_approval"


def parked(run: Document) -> bool:
    """Whether it ended with writes that wait for a person."""
    return run["status"] == "completed" and run["reason"] == "awaiting_approval"


def exit_code(run: Document) -> int:
    """How a command that waited for `run` ends."""
    if run["reason"] == "awaiting_approval":
        return codes.AWAITING
    return codes.OK if run["status"] == "completed" else codes.FAILED
