"""`ops approvals …`."""

import json

from amodal_rt.cli import output as codes
from amodal_rt.cli import table
from amodal_rt.cli.editor import edited
from amodal_rt.cli.verbs.door import Document, Door, wanted
from amodal_rt.errors import ConflictError, InvalidError
from amodal_rt.guardrails.untrusted import exact_json

_HEADS = ("ID", "Automation", "Asked", "Expires", "Question")
_UNDER_WAY = frozenset({"approved", "performing"})


def list_all(door: Door, *, automation: str | None, limit: int) -> int:
    """What waits for a person's answer, the newest run first."""
    rows = door.daemon.get("/v1/approvals", wanted(automation=automation, limit=limit))
    return door.output.rows(
        rows,
        _HEADS,
        lambda row: (
            row["id"],
            row["automation"],
            table.instant(row["asked_at"]),
            f"in {table.until(row['until'])}",
            table.text(_asked(row)),
        ),
        empty="Nobody is asked anything right now.",
    )


def show(door: Door, run_id: str) -> int:
    """What a run asks, or asked last, or a parked write as it would be made, with the answer."""
    found = door.daemon.get(f"/v1/approvals/{run_id}")
    if door.output.as_json:
        door.output.document(found)
        return codes.OK
    say = door.output.say
    say(f'{found["id"]}  {found["automation"]}  "{found["title"]}"')
    for label, value in _facts(found):
        say(f"  {label:<11} {value}")
    if found["write"] is None:
        say(f"  question\n{table.text(found['message'])}")
    else:
        _show_write(door, found)
    if found["status"] == "open":
        door.output.remark(how_to_answer(found["id"]))
    return codes.OK


def _asked(row: Document) -> str:
    """The question in one line: of a write, what would be made."""
    write = row["write"]
    return f"{write['label']} over {write['connection']}" if write else str(row["message"])


def _show_write(door: Door, found: Document) -> None:
    """The exact call, why a person decides, and what became of it."""
    say, write = door.output.say, found["write"]
    say(f"  why         {table.text(found['message'])}")
    if write["tainted_by"]:
        say(f"  had read    {table.text(', '.join(write['tainted_by']))}")
    say(f"  call\n{exact_json(write['call'])}")
    if write["waits_for"]:
        say(f"  waits       {table.text(write['waits_for'])}")
    if write["original"] is not None:
        say(f"  before it was edited\n{exact_json(write['original'])}")
    outcome = write["outcome"]
    if outcome:
        said = outcome.get("result") or outcome.get("error") or ""
        say(f"  outcome\n{table.text(str(said))}")


def _facts(found: Document) -> list[tuple[str, str]]:
    left = f" (in {table.until(found['until'])})" if found["status"] == "open" else ""
    facts = [
        ("status", found["status"]),
        ("node", found["node"]),
        ("run", found["write"] and found["run_id"]),
        ("requester", found["requester"]),
        ("asked", table.instant(found["asked_at"])),
        ("expires", table.instant(found["until"]) + left),
        ("answered", found["answered_at"] and table.instant(found["answered_at"])),
        ("by", found["by"] and f"{found['by']} ({found['door'] or '-'})"),
        ("note", found["note"]),
    ]
    return [(label, str(value)) for label, value in facts if value]


def how_to_answer(run_id: str) -> str:
    """For a remark beside a question."""
    return f"answer with `ops approvals approve {run_id}`, or `deny`"


def approve(
    door: Door, run_id: str, *, step: str | None, note: str | None, call: object = None
) -> int:
    """Yes: the run goes on its way for that, or the write is made; with `call` that one instead."""
    found = _answered(door, run_id, "approve", step, note, call)
    if found["write"] is not None:
        return _made(door, found)
    return door.output.answer(found, f"Approved: {found['run_id']} goes on")


def deny(door: Door, run_id: str, *, step: str | None, note: str | None) -> int:
    """No: the run goes on its way for that, or ends; the write is not made."""
    found = _answered(door, run_id, "deny", step, note)
    if found["write"] is not None:
        return door.output.answer(found, f"Denied: {_asked(found)} is not made")
    return door.output.answer(found, f"Denied: {found['run_id']} goes on without it")


def _made(door: Door, found: Document) -> int:
    """What became of an approved write, by which the command ends."""
    what, status = _asked(found), found["status"]
    if status == "performed":
        said = f"Approved: {what} was made"
    elif status in _UNDER_WAY:
        said = f"Approved: {what} will be made; `ops approvals show {found['id']}` says when"
    else:
        said = f"Approved, and {status}: {what}"
    door.output.answer(found, said)
    outcome: Document = found["write"]["outcome"] or {}
    error = outcome.get("error") or found["write"]["waits_for"]
    if error:
        door.output.remark(table.text(str(error)))
    return codes.OK if status == "performed" or status in _UNDER_WAY else codes.FAILED


def approve_edited(door: Door, id: str, *, note: str | None) -> int:
    """Yes to the call as somebody makes it in an editor."""
    found = door.daemon.get(f"/v1/approvals/{id}")
    if found["write"] is None:
        raise InvalidError(f"{id} asks, and parks no call", code="bad_call")
    before = exact_json(found["write"]["call"])
    after = edited(before + "\n").strip()
    if after == before.strip():
        raise ConflictError("nothing was edited, and so nothing approved", code="not_edited")
    try:
        call: object = json.loads(after)
    except ValueError as error:
        raise InvalidError(f"the edited call is no JSON: {error}", code="bad_call") from None
    return approve(door, found["id"], step=None, note=note, call=call)


def _answered(
    door: Door, run_id: str, verb: str, step: str | None, note: str | None, call: object = None
) -> Document:
    said: dict[str, object] = {"step": step, "note": note}
    if call is not None:
        said["call"] = call
    return door.daemon.post(f"/v1/approvals/{run_id}/{verb}", said)


def decided(counts: Document | None) -> str | None:
    """How an automation's parked writes fared: `12 approved (2 edited), 1 denied, 0 expired`; None
    where there were none."""
    if not counts or not any(counts.values()):
        return None
    edited = f" ({counts['edited']} edited)" if counts["edited"] else ""
    said = f"{counts['approved']} approved{edited}, {counts['denied']} denied"
    waits = f", {counts['open']} open" if counts["open"] else ""
    return f"{said}, {counts['expired']} expired{waits}"
