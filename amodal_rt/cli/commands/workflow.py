"""`amodal-rt workflow …`: graphs, without a daemon."""

from pathlib import Path
from typing import Annotated

import typer

from amodal_rt.cli import output as codes
from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import user
from amodal_rt.cli.output import Output
from amodal_rt.cli.payload import parse
from amodal_rt.cli.verbs.door import Door
from amodal_rt.client import find_client
from amodal_rt.errors import AmodalError

_READS = "here --write lets its nodes write"

_File = Annotated[Path, typer.Argument(metavar="FILE", help="A file of workflows/.")]


def group() -> typer.Typer:
    """The verbs about graphs."""
    made = typer.Typer(help="Check, draw and try workflow graphs.", no_args_is_help=True)
    for command in (validate, draw, run):
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


def run(
    file: _File,
    payload: Annotated[
        str | None, typer.Option(help="The payload, as JSON; - or @FILE to read it.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A variable that its nodes see.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Let its nodes write.")] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Change nothing, and ask no model.")
    ] = False,
    as_json: options.AsJson = False,
) -> int:
    """Run one graph now, without a daemon, in a copy of its workspace that is gone afterwards.
    Connections and targets are the real ones, stores are empty; it may only read unless you say
    --write. Exits by the outcome; a run that would wait for days ends there."""
    from amodal_rt.cli.verbs import workflow as verbs
    from amodal_rt.daemon.trying import Trial, try_graph

    try:
        parsed = None if payload is None else parse(payload)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--payload") from error
    checked = _checked(file, Output(as_json=as_json))
    if checked is not None:
        return checked

    def ask(state: Path, name: str) -> int:
        door = Door(find_client(state, actor=user()), Output(as_json=as_json))
        try:
            return verbs.run(
                door, name, payload=parsed, rehearse=rehearse, refused=None if write else _READS
            )
        except AmodalError as error:
            return door.output.error(error)

    try:
        return try_graph(Trial(file=file, writes=write, env=tuple(env or ())), ask)
    except AmodalError as error:
        return Output(as_json=as_json).error(error)


def _checked(file: Path, output: Output) -> int | None:
    """How the command ends where the file holds no graph that could run, and says why."""
    from amodal_rt.workspace.one_graph import read_graph

    try:
        workflow, problems = read_graph(file)
    except AmodalError as error:
        return output.error(error)
    wrong = [each for each in problems if each.severity == "error"]
    for problem in wrong:
        output.remark(f"{problem.severity}: {problem.sentence()}")
    if workflow is not None and not wrong:
        return None
    return codes.INVALID
