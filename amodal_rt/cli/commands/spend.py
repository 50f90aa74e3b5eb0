"""`ops spend`."""

from typing import Annotated

import typer

from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import use
from amodal_rt.cli.verbs import spend

Days = Annotated[int, typer.Option("--days", min=1, help="How many days, today included.")]
By = Annotated[str, typer.Option("--by", help="automation, model or day.")]
Of = Annotated[str | None, typer.Option("--automation", help="Of this one alone.")]


def show(
    days: Days = 1,
    by: By = "automation",
    automation: Of = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Show what models cost, and how the budgets of today stand."""
    return use(
        lambda door: spend.show(door, days=days, by=by, automation=automation),
        as_json=as_json,
        workspace=workspace,
    )
