"""A run's journal on a terminal: one short line an entry, as it happens."""

import json
from collections.abc import Iterator

from amodal_rt.cli.verbs.door import Document, Door, wanted

_SILENT = frozenset(
    {
        "run.started", "run.finished", "run.prompt", "turn.started", "tool.started", "gate.started",
        "node.started", "run.tainted",
    }
)  # fmt: skip
_WIDTH = 160


def follow(door: Door, run_id: str, *, quiet: bool) -> None:
    """Read the journal until the run has ended or waits for a person's answer; show what matters
    of it unless `quiet`."""
    for entry in door.daemon.lines(f"/v1/runs/{run_id}/journal", wanted(follow=1)):
        if not quiet:
            show(door, entry)
        if entry["type"] == "run.waiting" and entry["data"]["reason"] == "awaiting_approval":
            return


def show(door: Door, entry: Document) -> None:
    """One entry as it comes, if a watcher wants it."""
    if _matters(entry):
        door.output.say(f"  {sentence(entry)}")


def print_entries(door: Door, run_id: str, *, follow: bool) -> None:
    """Every entry: JSON Lines with `--json`, else sentences."""
    params = wanted(follow=1 if follow else None)
    for entry in door.daemon.lines(f"/v1/runs/{run_id}/journal", params):
        if door.output.as_json:
            print(json.dumps(entry), flush=True)
        else:
            door.output.say(f"{entry['sequence']:>4}  {entry['at'][11:23]:<12}  {sentence(entry)}")


def _matters(entry: Document) -> bool:
    """Whether a watcher wants it: not the brackets around a step, nor the final text."""
    if entry["type"] == "turn.finished":
        data: Document = entry["data"] or {}
        return bool(data.get("calls") and data.get("text"))
    return entry["type"] not in _SILENT


def sentence(entry: Document) -> str:
    """`tool.finished  request GET runtime /runs → 200`, from whatever the entry carries."""
    words = " ".join(_words(entry["data"] or {}))
    return f"{entry['type']:<13} {_short(words)}".rstrip()


def _words(data: Document) -> Iterator[str]:
    if data.get("tool"):
        yield from _call(data)
    elif data.get("write_id"):
        yield from _parked(data)
    elif data.get("node"):
        yield from _node(data)
    elif data.get("model"):
        yield str(data["model"])
    elif "open" in data:
        # Of a gate the rule is all that a reader looks for.
        yield str(data.get("rule"))
    elif data.get("source"):
        yield f"by {data.get('name')}"
    calls = data.get("calls")
    if calls:
        yield "calls " + ", ".join(str(each["tool"]) for each in calls)
    for key in ("status", "reason", "error", "note", "message", "text"):
        value = data.get(key)
        if isinstance(value, str) and value:
            yield value


def _parked(data: Document) -> Iterator[str]:
    """`POST /deals over crm approved by ada`: what became of a parked write."""
    yield f"{data['call']} over {data['connection']}"
    if data.get("by"):
        yield f"{'approved' if data.get('approved') else 'denied'} by {data['by']}"


def _node(data: Document) -> Iterator[str]:
    """`check → notify`: a node of a workflow, and the one that follows."""
    yield str(data["node"])
    if data.get("next"):
        yield f"→ {data['next']}"
    if data.get("until"):
        yield f"until {data['until']}"


def _call(data: Document) -> Iterator[str]:
    """`request GET runtime /runs → 200`, or the tool with its arguments."""
    arguments: Document = data.get("arguments") or {}
    yield str(data["tool"])
    if "endpoint" in arguments:
        yield from (str(arguments.get(key, "")) for key in ("method", "connection", "endpoint"))
    elif arguments:
        yield json.dumps(arguments)
    if isinstance(data.get("status"), int):
        yield f"→ {data['status']}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
