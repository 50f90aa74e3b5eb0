"""A run's journal on a terminal: one short line an entry, as it happens."""

import json

from amodal_rt.cli.verbs.door import Document, Door, wanted

_SILENT = {"run.started", "run.finished", "run.prompt", "turn.started", "tool.started"}


def follow(door: Door, run_id: str, *, quiet: bool) -> None:
    """Read the journal until the run has ended; show each step unless `quiet`."""
    for entry in door.daemon.lines(f"/v1/runs/{run_id}/journal", wanted(follow=1)):
        if not quiet and entry["type"] not in _SILENT:
            door.output.say(sentence(entry))


def print_entries(door: Door, run_id: str, *, follow: bool) -> None:
    """Every entry: JSON Lines with `--json`, else sentences."""
    params = wanted(follow=1 if follow else None)
    for entry in door.daemon.lines(f"/v1/runs/{run_id}/journal", params):
        if door.output.as_json:
            print(json.dumps(entry), flush=True)
        else:
            door.output.say(f"{entry['sequence']:>4}  {entry['at'][11:23]:<12}  {sentence(entry)}")


def sentence(entry: Document) -> str:
    """`tool.finished request GET runtime /runs → 200`, from whatever the entry carries."""
    data: Document = entry["data"] or {}
    parts = [entry["type"]]
    parts += [str(data[key]) for key in ("tool", "summary") if data.get(key)]
    for key in ("reason", "error", "note", "text"):
        value = data.get(key)
        if isinstance(value, str) and value:
            parts.append(_short(value))
    if len(parts) == 1 and data:
        parts.append(_short(json.dumps(data)))
    return " ".join(parts)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:159] + "…"
