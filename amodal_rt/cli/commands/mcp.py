"""`amodal-rt mcp`: the MCP server on standard input and output."""

import os
import sys
from typing import Annotated

import typer

from amodal_rt.cli import output as codes
from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import connect
from amodal_rt.cli.output import Output
from amodal_rt.errors import AmodalError


def add_to(root: typer.Typer) -> None:
    """Add the command."""
    root.command()(mcp)


def mcp(
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Reach the daemon over TCP with the token in AMODAL_RT_TOKEN; default "
            "AMODAL_RT_URL, else its socket.",
        ),
    ] = None,
    workspace: options.Workspace = None,
) -> int:
    """Speak MCP on standard input and output, for programs that start their servers themselves.

    Needs a running daemon, whose tools it offers.
    """
    from amodal_rt.cli.verbs.mcp import Relay, greet

    output = Output()
    if url is not None:
        # As if it had been set for this one command: whoever connects asks there.
        os.environ["AMODAL_RT_URL"] = url
    try:
        daemon = connect(workspace)
        greet(daemon)
    except AmodalError as error:
        return output.error(error)
    Relay(daemon, sys.stdout.buffer, output.remark).run(sys.stdin.buffer)
    return codes.OK
