"""`amodal-rt backup` and `amodal-rt restore`."""

from pathlib import Path
from typing import Annotated

import typer

from amodal_rt.cli import output as codes
from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import find_state, user
from amodal_rt.cli.output import Output
from amodal_rt.errors import AmodalError

_Workspace = Annotated[
    Path | None, typer.Option("--workspace", metavar="DIR", help="The workspace that is meant.")
]
_NO_KEY = (
    "the webhook key is not in it: it came from AMODAL_RT_WEBHOOK_KEY, and URLs stay the same "
    "only where that is set to the same value"
)


def add_to(root: typer.Typer) -> None:
    """Add the commands."""
    for command in (backup, restore):
        root.command()(command)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make.")],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    as_json: options.AsJson = False,
    workspace: _Workspace = None,
) -> int:
    """Copy the ledger with its webhook key into one checked file, while the daemon runs or not."""
    output = Output(as_json=as_json)
    try:
        from amodal_rt.daemon.keeping import back_up

        root, state = find_state(workspace)
        made = back_up(root, state, file, force=force)
    except AmodalError as error:
        return output.error(error)
    if as_json:
        output.document(
            {
                "file": str(made.file),
                "bytes": made.size,
                "revision": made.revision,
                "runs": made.runs,
                "events": made.events,
                "deliveries": made.deliveries,
                "webhook_key": made.has_key,
            }
        )
    output.say(f"{made.file}: {made.runs} runs, {made.events} events, {_size(made.size)}, checked")
    if not made.has_key:
        output.remark(_NO_KEY)
    return codes.OK


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    cancel_pending: Annotated[
        bool,
        typer.Option("--cancel-pending", help="End the runs that wait in it instead of running."),
    ] = False,
    as_json: options.AsJson = False,
    workspace: _Workspace = None,
) -> int:
    """Make a backup the ledger again. The daemon must be stopped; the old ledger stays beside."""
    output = Output(as_json=as_json)
    try:
        from amodal_rt.daemon.keeping import put_back
        from amodal_rt.ports import Caller

        root, state = find_state(workspace)
        caller = Caller(actor=user(), door="cli")
        done = put_back(root, state, file, cancel_pending=cancel_pending, caller=caller)
    except AmodalError as error:
        return output.error(error)
    if as_json:
        output.document(
            {
                "replaced": str(done.aside) if done.aside else None,
                "runs": done.runs,
                "events": done.events,
                "interrupted": list(done.interrupted),
                "cancelled": list(done.cancelled),
                "pending": done.pending,
                "webhook_key": done.has_key,
            }
        )
    output.say(f"restored {done.runs} runs and {done.events} events")
    if done.aside:
        output.say(f"the ledger that was there is kept as {done.aside}")
    for run_id in done.interrupted:
        output.say(f"{run_id} was running: failed as interrupted")
    if done.pending:
        output.say(f"{done.pending} pending runs will run; --cancel-pending would have ended them")
    if not done.has_key:
        output.remark(_NO_KEY)
    return codes.OK


def _size(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"
