"""`ops integrations …`."""

import typer

from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import use
from amodal_rt.cli.verbs import integrations


def group() -> typer.Typer:
    """The verbs about integrations."""
    made = typer.Typer(help="The providers that send events here.", no_args_is_help=True)
    # Without it, a group of one verb would be that verb.
    made.callback()(lambda: None)
    made.command("list")(list_integrations)
    return made


def list_integrations(as_json: options.AsJson = False, workspace: options.Workspace = None) -> int:
    """List where each provider sends, and what is missing before it may."""
    return use(integrations.list_integrations, as_json=as_json, workspace=workspace)
