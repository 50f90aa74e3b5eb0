"""`amodal-rt dashboard`: a link that opens the dashboard without a token."""

import webbrowser
from typing import Annotated

import typer

from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import use
from amodal_rt.cli.verbs import dashboard as verb


def add_to(root: typer.Typer) -> None:
    """Add the command."""
    root.command()(dashboard)


def dashboard(
    open_it: Annotated[
        bool, typer.Option("--open", help="Open it in this machine's browser, too.")
    ] = False,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Print a link to the dashboard that works once, within five minutes, without a token."""
    show = webbrowser.open if open_it else None
    return use(lambda door: verb.link(door, show=show), as_json=as_json, workspace=workspace)
