"""`ops approvals …`."""

from amodal_rt.cli import output as codes
from amodal_rt.cli import table
from amodal_rt.cli.verbs.door import Document, Door, wanted

_HEADS = ("Run ID", "Automation", "Asked", "Expires", "Question")


def list_all(door: Door, *, automation: str | None, limit: int) -> int:
    """What waits for a person's answer, the newest run first."""
    rows = door.daemon.get("/v1/approvals", wanted(automation=automation, limit=limit))
    return door.output.rows(
        rows,
        _HEADS,
        lambda row: (
            row["run_id"],
            row["automation"],
            table.instant(row["asked_at"]),
            f"in {table.until(row['until'])}",
            table.text(row["message"]),
        ),
        empty="Nobody is asked anything right now.",
    )


def show(door: Door, run_id: str) -> int:
    """What a run asks, or asked last, with the answer."""
    found = door.daemon.get(f"/v1/approvals/{run_id}")
    if door.output.as_json:
        door.output.document(found)
        return codes.OK
    say = door.output.say
    say(f'{found["run_id"]}  {found["automation"]}  "{found["title"]}"')
    for label, value in _facts(found):
        say(f"  {label:<11} {value}")
    say(f"  question\n{table.text(found['message'])}")
    if found["status"] == "open":
        door.output.remark(how_to_answer(run_id))
    return codes.OK


def _facts(found: Document) -> list[tuple[str, str]]:
    left = f" (in {table.until(found['until'])})" if found["status"] == "open" else ""
    facts = [
        ("status", found["status"]),
        ("node", found["node"]),
        ("requester", found["requester"]),
        ("asked", table.instant(found["asked_at"])),
        ("expires", table.instant(found["until"]) + left),
        ("answered", found["answered_at"] and table.instant(found["answered_at"])),
        ("by", found["by"]),
        ("note", found["note"]),
    ]
    return [(label, str(value)) for label, value in facts if value]


def how_to_answer(run_id: str) -> str:
    """For a remark beside a question."""
    return f"answer with `ops approvals approve {run_id}`, or `deny`"


def approve(door: Door, run_id: str, *, step: str | None, note: str | None) -> int:
    """Yes: the run goes on its way for that."""
    found = _answered(door, run_id, "approve", step, note)
    return door.output.answer(found, f"Approved: {found['run_id']} goes on")


def deny(door: Door, run_id: str, *, step: str | None, note: str | None) -> int:
    """No: the run goes on its way for that, or ends."""
    found = _answered(door, run_id, "deny", step, note)
    return door.output.answer(found, f"Denied: {found['run_id']} goes on without it")


def _answered(door: Door, run_id: str, verb: str, step: str | None, note: str | None) -> Document:
    return door.daemon.post(f"/v1/approvals/{run_id}/{verb}", {"step": step, "note": note})
