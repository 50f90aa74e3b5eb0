"""`amodal-rt workflow …`: graphs, without a daemon."""

from pathlib import Path
from typing import Annotated

import typer

from amodal_rt.cli import output as codes
from amodal_rt.cli.commands import options
from amodal_rt.cli.output import Output
from amodal_rt.errors import AmodalError

_File = Annotated[Path, typer.Argument(metavar="FILE", help="A file of workflows/.")]


def group() -> typer.Typer:
    """The verbs about graphs."""
    made = typer.Typer(help="Check and draw workflow graphs.", no_args_is_help=True)
    for command in (validate, draw):
        made.command()(command)
    return made


def validate(file: _File, as_json: options.AsJson = False) -> int:
    """Check one graph, and what its nodes name where it stands in a workspace. Exit 3 when it
    is wrong."""
    from amodal_rt.workspace.one_graph import read_graph

    output = Output(as_json=as_json)
    try:
        workflow, problems = read_graph(file)
    except AmodalError as error:
        return output.error(error)
    valid = workflow is not None and not any(each.severity == "error" for each in problems)
    if as_json:
        shown = [problem.document() for problem in problems]
        output.document({"valid": valid, "problems": shown})
    else:
        for problem in problems:
            output.say(f"{problem.severity}: {problem.sentence()}")
        nodes = len(workflow.nodes) if workflow else 0
        output.say(f"{file}: " + (f"valid, {nodes} nodes" if valid else "invalid"))
    return codes.OK if valid else codes.INVALID


def draw(file: _File) -> int:
    """Print one graph as a Mermaid flowchart. Exit 3 when it is none."""
    from amodal_rt.definitions.drawing import mermaid
    from amodal_rt.workspace.one_graph import read_graph

    output = Output()
    try:
        workflow, problems = read_graph(file)
    except AmodalError as error:
        return output.error(error)
    if workflow is None:
        for problem in problems:
            output.remark(f"{problem.severity}: {problem.sentence()}")
        return codes.INVALID
    print(mermaid(workflow), end="")
    return codes.OK
