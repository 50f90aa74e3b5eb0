"""`ops runs …`."""

from typing import Annotated

import typer

from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import use
from amodal_rt.cli.verbs import runs


def build() -> typer.Typer:
    """The group with all its verbs."""
    group = typer.Typer(help="What has run and what is running.", no_args_is_help=True)
    for verb in (show, logs, cancel, replay):
        group.command()(verb)
    group.command("list")(list_)
    return group


def list_(
    automation: Annotated[str | None, typer.Option(help="Only this automation's.")] = None,
    status: options.Status = None,
    limit: options.Limit = 20,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """List runs of all automations, newest first."""
    return use(
        lambda door: runs.list_all(door, automation=automation, status=status, limit=limit),
        as_json=as_json,
        workspace=workspace,
    )


def show(
    run: options.RunId, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """Show one run with its result."""
    return use(lambda door: runs.show(door, run), as_json=as_json, workspace=workspace)


def logs(
    run: options.RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until the run ends.")] = False,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Print a run's journal; JSON Lines with --json."""
    return use(
        lambda door: runs.logs(door, run, follow=follow), as_json=as_json, workspace=workspace
    )


def cancel(
    run: options.RunId, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """End a run that has not ended yet."""
    return use(lambda door: runs.cancel(door, run), as_json=as_json, workspace=workspace)


def replay(
    run: options.RunId, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """Start a new run from the same event or payload."""
    return use(lambda door: runs.replay(door, run), as_json=as_json, workspace=workspace)
