"""`ops nodes …`."""

from typing import Annotated

import typer

from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import use
from amodal_rt.cli.verbs import nodes

Everything = Annotated[
    bool, typer.Option("--all", help="Those too that have been gone for up to a day.")
]


def group() -> typer.Typer:
    """The verbs about nodes."""
    made = typer.Typer(help="The daemons that share the ledger.", invoke_without_command=True)
    made.callback()(all_nodes)
    made.command("list")(list_nodes)
    return made


def all_nodes(
    context: typer.Context,
    everything: Everything = False,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """The daemons that share the ledger."""
    # Runs before `list` too, which prints for itself.
    return 0 if context.invoked_subcommand else list_nodes(everything, as_json, workspace)


def list_nodes(
    everything: Everything = False,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """List the daemons that live, then those gone within the last hour."""
    return use(
        lambda door: nodes.list_nodes(door, everything=everything),
        as_json=as_json,
        workspace=workspace,
    )
