"""`amodal-rt up`: the daemon in the foreground."""

import gc
from pathlib import Path
from typing import Annotated

import typer

from amodal_rt.cli.output import Output
from amodal_rt.errors import AmodalError
from amodal_rt.settings import load_process_settings


def add_to(root: typer.Typer) -> None:
    """Add the command."""
    root.command()(up)


def up(
    workspace: Annotated[
        Path | None, typer.Option("--workspace", metavar="DIR", help="The workspace to serve.")
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where webhooks arrive; port 0 takes a free one."),
    ] = None,
) -> int:
    """Serve a workspace until stopped (Ctrl-C lets running runs finish; twice stops at once)."""
    output = Output()
    # What is imported stays: looking for garbage in it is a seventh of the way to readiness.
    # The daemon enables it again when it is ready.
    gc.disable()
    try:
        from amodal_rt.daemon.lifecycle import run_up
        from amodal_rt.workspace.locate import find_workspace

        root = find_workspace(workspace, load_process_settings(), Path.cwd())
        return run_up(root, listen=listen, say=output.say)
    except AmodalError as error:
        return output.error(error)
