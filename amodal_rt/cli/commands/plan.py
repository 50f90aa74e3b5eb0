"""`amodal-rt plan`: what a change of files changes, for whoever reviews it."""

from pathlib import Path
from typing import Annotated

import typer

from amodal_rt.cli import output as codes
from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import find_root
from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs.reaching import show_plan
from amodal_rt.clock import SystemClock
from amodal_rt.errors import AmodalError


def add_to(root: typer.Typer) -> None:
    """Add the command."""
    root.command()(plan)


def plan(
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="The workspace.")] = None,
    against: Annotated[
        str, typer.Option(metavar="GIT_REV", help="What it is compared with.")
    ] = "HEAD",
    allow_widen: Annotated[
        bool, typer.Option("--allow-widen", help="Exit 0 where powers are widened, too.")
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Say what changed since a revision: next fires, powers, hosts, secrets.

    Needs no daemon. Exit 1 when an automation may do more than before, 3 when a changed file is
    invalid.
    """
    from amodal_rt.operations.planning import plan as compare
    from amodal_rt.workspace.check import read_at
    from amodal_rt.workspace.revision import read_revision

    output = Output(as_json=as_json)
    try:
        root = find_root(folder)
        found = compare(read_revision(root, against), read_at(root), now=SystemClock().now())
    except AmodalError as error:
        return output.error(error)
    if as_json:
        output.document(found.document)
    else:
        show_plan(output, found.document, against)
    if found.invalid:
        output.remark(f"invalid: {', '.join(found.invalid)}; amodal-rt validate says why")
        return codes.INVALID
    if found.widened and not allow_widen:
        output.remark("powers are widened: once that is meant, say --allow-widen")
        return codes.FAILED
    return codes.OK
