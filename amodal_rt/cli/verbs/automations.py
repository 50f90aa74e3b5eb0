"""`ops automations …`: the daemon's verbs."""

from collections.abc import Mapping

from amodal_rt.cli import output as codes
from amodal_rt.cli import table
from amodal_rt.cli.progress import waiting
from amodal_rt.cli.verbs import journal
from amodal_rt.cli.verbs.approvals import decided, how_to_answer
from amodal_rt.cli.verbs.door import Document, Door, wanted
from amodal_rt.cli.verbs.runs import asks, exit_code, labels, parked, show_run

_HEADS = ("Name", "Trigger", "Schedule", "Status", "Next Run or Webhook URL")
_HISTORY = ("Run ID", "Started", "Duration", "Status", "Output")


def list_all(door: Door) -> int:
    """Every automation with its trigger, schedule, status and what comes next."""
    rows = door.daemon.get("/v1/automations")
    return door.output.rows(rows, _HEADS, _row, empty=_EMPTY)


_EMPTY = "No automations yet: put a JSON file into automations/, for example with `amodal-rt init`."


def _row(row: Document) -> tuple[str, ...]:
    status = str(row["status"]) + (" (last good version runs)" if row.get("stale") else "")
    # An active one has a reason only where an MCP server does not watch for it.
    status += " (not watched for)" if row["status"] == "active" and row["reason"] else ""
    schedule = f"{row['schedule']} {row['timezone']}" if row["schedule"] else "-"
    return row["name"], _triggers(row), schedule, status, _comes(row)


def _triggers(row: Document) -> str:
    """`cron, event github.issues.opened (+2)`: what starts it, in few words."""
    words: list[str] = []
    for kind in dict.fromkeys(row["triggers"]):
        names = row.get("events") or () if kind == "event" else ()
        more = f" (+{len(names) - 1})" if len(names) > 1 else ""
        words.append(f"{kind} {names[0]}{more}" if names else kind)
    return ", ".join(words)


def _comes(row: Document) -> str:
    parts: list[str] = []
    if row["next_run_at"]:
        parts.append(_next(row))
    if row["webhook_url"]:
        marks = ["local only"] * _is_local(row["webhook_url"]) + ["unsigned"] * (not row["signed"])
        parts.append(row["webhook_url"] + (f" ({', '.join(marks)})" if marks else ""))
    return "  ".join(parts) or "-"


def _next(row: Document) -> str:
    return table.upcoming(row["next_run_at"], row["timezone"])


def _is_local(url: str) -> bool:
    """Whether nobody but this machine can reach it: `publicUrl` is not set."""
    return url.rsplit("://", maxsplit=1)[-1].startswith(("127.", "localhost", "[::1]"))


def show(door: Door, name: str) -> int:
    """One automation, whole."""
    found = door.daemon.get(f"/v1/automations/{name}")
    if door.output.as_json:
        door.output.document(found)
        return codes.OK
    lines = [f"{found['title']}  ({found['name']}, {found['id']})"]
    for problem in found.get("problems") or ():
        place = ":".join(str(problem[key]) for key in ("file", "line") if problem.get(key))
        lines.append(f"  {problem['severity']}: {place}: {problem['message']}")
        if problem.get("hint"):
            lines.append(f"    {problem['hint']}")
    lines += [f"  {label:<12} {value}" for label, value in _facts(found)]
    for line in lines:
        door.output.say(line)
    return codes.OK


def _facts(found: Document) -> list[tuple[str, str]]:
    last: Document = found["last_run"] or {}
    paused: Document = found.get("paused") or {}
    status = found["status"] + (f": {paused['reason']}" if paused.get("reason") else "")
    facts: list[tuple[str, object]] = [
        ("file", found.get("file")),
        ("status", status),
        ("reason", found["reason"]),
        ("triggers", _triggers(found)),
        ("events", _several(found.get("events"))),
        ("watched", "; ".join(map(_watched, found.get("remote_triggers") or ()))),
        ("run as", found.get("run_as")),
        ("schedule", found["schedule"] and f"{found['schedule']} {found['timezone']}"),
        ("next", found["next_run_at"] and _next(found)),
        ("webhook", found["webhook_url"] and _comes({**found, "next_run_at": None})),
        ("agent", found.get("agent")),
        ("model", found.get("model")),
        ("writes", found.get("writes")),
        ("approvals", decided(found.get("approvals"))),
        ("delivers to", ", ".join(found.get("delivery") or ())),
        (
            "last run",
            last and f"{last['run_id']} {last['status']} {table.instant(last['started_at'])}",
        ),
        ("definition", (found.get("definition") or "")[:12]),
        ("prompt", _first_line(found.get("prompt"))),
    ]
    return [(label, str(value)) for label, value in facts if value]


def _watched(trigger: Document) -> str:
    """How it stands with one event that an MCP server watches for, and with which params."""
    params = ", ".join(f"{key}: {value}" for key, value in trigger["params"].items())
    named = f"{trigger['event']} ({params})" if params else trigger["event"]
    since = trigger["configured_at"]
    return f"{named} {trigger['state']}" + (f" since {table.instant(since)}" if since else "")


def _several(names: list[str] | None) -> str | None:
    """All names, where one line could not show them."""
    return ", ".join(names) if names and len(names) > 1 else None


def _first_line(prompt: str | None) -> str:
    lines = (prompt or "").strip().splitlines()
    return lines[0] + (" …" if len(lines) > 1 else "") if lines else ""


def pause(door: Door, name: str | None, *, reason: str | None, everything: bool) -> int:
    """Stop one automation, or all, until resumed."""
    path = "/v1/automations/pause" if everything else f"/v1/automations/{name}/pause"
    found = door.daemon.post(path, {"reason": reason})
    if door.output.as_json:
        door.output.document(found)
    for row in found if everything else [found]:
        door.output.say(f'Paused "{row["title"]}" will not run until resumed')
    return codes.OK


def resume(door: Door, name: str) -> int:
    """Let a paused automation run again."""
    row = door.daemon.post(f"/v1/automations/{name}/resume")
    return _changed(door, row, f'Resumed "{row["title"]}"')


def activate(door: Door, name: str) -> int:
    """Write `status: active` into the file."""
    row = door.daemon.post(f"/v1/automations/{name}/activate")
    return _changed(door, row, f'Activated "{row["title"]}"')


def reset(door: Door, name: str) -> int:
    """Write `status: draft` into the file."""
    row = door.daemon.post(f"/v1/automations/{name}/reset")
    return _changed(door, row, f'"{row["title"]}" is a draft again and will not run')


def rotate_url(door: Door, name: str) -> int:
    """Give the automation a new webhook URL; the old one answers 404 from now on."""
    row = door.daemon.post(f"/v1/automations/{name}/rotate-url")
    return _changed(door, row, f'New webhook URL of "{row["title"]}": {row["webhook_url"]}')


def _changed(door: Door, row: Document, sentence: str) -> int:
    if door.output.as_json:
        door.output.document(row)
        return codes.OK
    next_run = f"; next run {_next(row)}" if row["next_run_at"] else ""
    door.output.say(sentence + next_run)
    return codes.OK


def trigger(
    door: Door, name: str, *, payload: object, wait: bool, rehearse: bool, detach: bool
) -> int:
    """Start a run by hand; follow it unless told otherwise, and exit by its outcome."""
    body: dict[str, object] = {"rehearse": rehearse}
    if payload is not None:
        body["payload"] = payload
    run = door.daemon.post(f"/v1/automations/{name}/trigger", body)
    if door.output.as_json and not wait:
        door.output.document(run)
        return codes.OK
    # The id is out before the work begins: who interrupts the command can find the run.
    begun = f"{run['run_id']}  session {run['session_id']}"
    (door.output.remark if door.output.as_json else door.output.say)(begun)
    if detach and not wait:
        return codes.OK
    with waiting(door.output, f"{name} runs …"):
        journal.follow(door, run["run_id"], quiet=door.output.as_json)
    finished = door.daemon.get(f"/v1/runs/{run['run_id']}")
    if door.output.as_json:
        door.output.document(finished)
    else:
        show_run(door, finished, brief=True)
    if asks(finished):
        door.output.remark(how_to_answer(run["run_id"]))
    elif parked(finished):
        door.output.remark("decide with `ops approvals show ID`, then `approve` or `deny`")
    return exit_code(finished)


def history(door: Door, name: str, *, status: str | None, limit: int) -> int:
    """The automation's runs, newest first."""
    params = wanted(automation=name, status=status, limit=limit)
    rows = door.daemon.get("/v1/runs", params)
    if not rows:
        # A misspelt name is an error; a deleted automation still has its history.
        door.daemon.get(f"/v1/automations/{name}/why", wanted(limit=1))
    return door.output.rows(rows, _HISTORY, _past, empty=f"No runs of {name} yet.")


def _past(row: Mapping[str, object]) -> tuple[str, ...]:
    started = row["started_at"] or row["scheduled_for"] or row["created_at"]
    return (
        str(row["run_id"]),
        table.instant(started),
        table.seconds(row["duration_seconds"]),
        _ended(row),
        labels(row),
    )


def _ended(row: Mapping[str, object]) -> str:
    """Status and reason, and of how many starts where there was more than one."""
    status = str(row["status"]) + (f"/{row['reason']}" if row["reason"] else "")
    count = row["count"]
    return f"{status} ×{count}" if isinstance(count, int) and count > 1 else status


_WHY = ("Slot or event", "Run", "Status", "Rule")


def why(door: Door, name: str, *, at: str | None, limit: int) -> int:
    """What became of each slot and event, and which rule decided."""
    asked = wanted(at=at and table.typed_instant(at), limit=limit)
    rows = door.daemon.get(f"/v1/automations/{name}/why", asked)
    return door.output.rows(
        rows,
        _WHY,
        lambda row: (
            _cause(row),
            table.text(row["run_id"]),
            _ended(row),
            table.text(_decided(row)),
        ),
        empty=f"Nothing is on record for {name}" + (f" at {at}." if at else "."),
    )


def _decided(row: Document) -> str | None:
    """The rule that decided, and what a pending run waits for."""
    waits = row["waits_for"]
    told = [row["rule"], f"waits: {waits['rule']}" if waits else None]
    return "; ".join(each for each in told if each) or None


def _cause(row: Document) -> str:
    """The slot, the event, or that a person asked."""
    if row["scheduled_for"]:
        first, until = table.instant(row["scheduled_for"]), row["scheduled_until"]
        return f"{first} to {table.instant(until)}" if until else first
    return str(row["event_id"] or ("by hand" if row["run_id"] else "-"))
