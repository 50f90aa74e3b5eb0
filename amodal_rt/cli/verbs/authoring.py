"""`ops automations create|update|delete`: the daemon writes the files."""

from collections.abc import Mapping

from amodal_rt.cli import output as codes
from amodal_rt.cli import table
from amodal_rt.cli.verbs.door import Document, Door

Body = Mapping[str, object]
"""`{"keys": …}`, or a whole file as `{"text": …, "ending": …}`."""


def create(door: Door, name: str, body: Body) -> int:
    """Write a new automation's file; the automation."""
    row = door.daemon.post("/v1/automations", {"name": name, **body})
    return _written(door, row, f'Created "{row["title"]}" in {row["file"]}')


def update(door: Door, name: str, body: Body) -> int:
    """Change its file; the automation."""
    row = door.daemon.post(f"/v1/automations/{name}/update", body)
    return _written(door, row, f'Updated "{row["title"]}" in {row["file"]}')


def delete(door: Door, name: str) -> int:
    """Take its file away."""
    gone = door.daemon.post(f"/v1/automations/{name}/delete")
    return door.output.answer(gone, f"Deleted {gone['file']}; its history stays on record")


def _written(door: Door, row: Document, sentence: str) -> int:
    if door.output.as_json:
        door.output.document(row)
        return codes.OK
    due = row["next_run_at"]
    next_run = f"; next run {table.upcoming(due, row['timezone'])}" if due else ""
    door.output.say(f"{sentence} ({row['status']}){next_run}")
    return codes.OK
