"""`ops approvals …`."""

from typing import Annotated

import typer

from amodal_rt.cli import payload
from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import use
from amodal_rt.cli.verbs import approvals

_Step = Annotated[
    str | None,
    typer.Option(help="Only if it is the question of this step that is open, as `show` names it."),
]
_Id = Annotated[
    str, typer.Argument(metavar="ID", help="A parked write (write_…), or a run that asks (run_…).")
]
_Note = Annotated[
    str | None, typer.Option(help="Why; kept in the run's journal, and its workflow sees it.")
]


def build() -> typer.Typer:
    """The group with all its verbs."""
    group = typer.Typer(help="What waits for a person's answer.", no_args_is_help=True)
    group.command("list")(list_)
    for verb in (show, approve, deny):
        group.command()(verb)
    return group


def list_(
    automation: Annotated[str | None, typer.Option(help="Only this automation's.")] = None,
    limit: options.Limit = 20,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """List what waits for an answer, the newest first: questions of workflows, parked writes."""
    return use(
        lambda door: approvals.list_all(door, automation=automation, limit=limit),
        as_json=as_json,
        workspace=workspace,
    )


def show(run: _Id, as_json: options.AsJson = False, workspace: options.Workspace = None) -> int:
    """Show a parked write as it would be made, or what a run asks, and who answered what."""
    return use(lambda door: approvals.show(door, run), as_json=as_json, workspace=workspace)


def approve(
    run: _Id,
    note: _Note = None,
    step: _Step = None,
    edit: Annotated[
        bool, typer.Option("--edit", help="Change the call in $EDITOR first; it is checked again.")
    ] = False,
    call: Annotated[
        str | None,
        typer.Option(
            help="Make this call instead: JSON as `show` prints it, @FILE, or - for stdin."
        ),
    ] = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Answer yes; the run goes on, the write is made."""
    if edit:
        return use(
            lambda door: approvals.approve_edited(door, run, note=note),
            as_json=as_json,
            workspace=workspace,
        )
    try:
        meant = payload.parse(call) if call is not None else None
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--call") from error
    return use(
        lambda door: approvals.approve(door, run, step=step, note=note, call=meant),
        as_json=as_json,
        workspace=workspace,
    )


def deny(
    run: _Id,
    note: _Note = None,
    step: _Step = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Answer no; the run goes on without it, the write is not made."""
    return use(
        lambda door: approvals.deny(door, run, step=step, note=note),
        as_json=as_json,
        workspace=workspace,
    )
