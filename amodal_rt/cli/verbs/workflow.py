"""A graph that is run by hand, followed to its end."""

from amodal_rt.cli.progress import waiting
from amodal_rt.cli.verbs import journal
from amodal_rt.cli.verbs.door import Door, wanted
from amodal_rt.cli.verbs.runs import exit_code, show_run

_WAITING = "run.waiting"
_DENIED = "tool.denied"


def run(door: Door, name: str, *, payload: object, rehearse: bool, refused: str | None) -> int:
    """Start it, show its steps and its result, and exit by its outcome. A run that would wait
    outside of a slot is cancelled: nobody keeps it. `refused` is said where a call was: what
    would allow it here is no line of a file."""
    body: dict[str, object] = {"rehearse": rehearse}
    if payload is not None:
        body["payload"] = payload
    run_id = door.daemon.post(f"/v1/automations/{name}/trigger", body)["run_id"]
    with waiting(door.output, f"{name} runs …"):
        waits, denied = _follow(door, run_id)
    found = door.daemon.get(f"/v1/runs/{run_id}")
    if waits:
        door.daemon.post(f"/v1/runs/{run_id}/cancel")
        door.output.remark("it would wait now: activate it in a workspace to see how it goes on")
    if door.output.as_json:
        door.output.document(found)
    elif not waits:
        show_run(door, found, brief=True)
    if denied and refused:
        door.output.remark(refused)
    return exit_code(found)


def _follow(door: Door, run_id: str) -> tuple[bool, bool]:
    """Show the journal until the run has ended, or waits: True then; and whether a call was
    refused."""
    denied = False
    for entry in door.daemon.lines(f"/v1/runs/{run_id}/journal", wanted(follow=1)):
        if not door.output.as_json:
            journal.show(door, entry)
        denied = denied or entry["type"] == _DENIED
        if entry["type"] == _WAITING:
            return True, denied
    return False, denied
