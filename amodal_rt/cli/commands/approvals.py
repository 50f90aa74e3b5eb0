"""`ops approvals …`."""

from typing import Annotated

import typer

from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import use
from amodal_rt.cli.verbs import approvals

_Step = Annotated[
    str | None,
    typer.Option(help="Only if it is the question of this step that is open, as `show` names it."),
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
    """List the questions that wait for an answer, the newest run first."""
    return use(
        lambda door: approvals.list_all(door, automation=automation, limit=limit),
        as_json=as_json,
        workspace=workspace,
    )


def show(
    run: options.RunId, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """Show what a run asks, or asked last, with the answer and who gave it."""
    return use(lambda door: approvals.show(door, run), as_json=as_json, workspace=workspace)


def approve(
    run: options.RunId,
    note: _Note = None,
    step: _Step = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Answer yes; the run goes on."""
    return use(
        lambda door: approvals.approve(door, run, step=step, note=note),
        as_json=as_json,
        workspace=workspace,
    )


def deny(
    run: options.RunId,
    note: _Note = None,
    step: _Step = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Answer no; the run goes on without it."""
    return use(
        lambda door: approvals.deny(door, run, step=step, note=note),
        as_json=as_json,
        workspace=workspace,
    )
