"""The commands that need no daemon: validate, schema, convert, init, version."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from amodal_rt import __version__
from amodal_rt.cli import output as codes
from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import find_root
from amodal_rt.cli.output import Output
from amodal_rt.errors import AmodalError, InvalidError

_Folder = Annotated[Path | None, typer.Argument(metavar="DIR", help="The workspace.")]


def add_to(root: typer.Typer) -> None:
    """Add the commands."""
    for command in (init, validate, schema, convert, version):
        root.command()(command)


def validate(
    folder: _Folder = None,
    env: Annotated[
        bool, typer.Option("--env", help="An unset environment variable is an error.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are errors.")] = False,
    as_json: options.AsJson = False,
) -> int:
    """Check every file of a workspace, as CI should before a merge. Exit 3 when one is wrong."""
    from amodal_rt.workspace.check import check

    output = Output(as_json=as_json)
    try:
        root = find_root(folder)
        problems = check(root, env=env)
    except AmodalError as error:
        return output.error(error)
    valid = not any(strict or problem.severity == "error" for problem in problems)
    if as_json:
        shown = [problem.document() for problem in problems]
        output.document({"valid": valid, "problems": shown})
    else:
        for problem in problems:
            output.say(f"{problem.severity}: {problem.sentence()}")
        errors = sum(problem.severity == "error" for problem in problems)
        output.say(f"{root}: " + ("valid" if valid else "invalid") + _counted(errors, problems))
    return codes.OK if valid else codes.INVALID


def _counted(errors: int, problems: Sequence[object]) -> str:
    warnings = len(problems) - errors
    parts = [f"{errors} error{'s'[: errors != 1]}"] if errors else []
    parts += [f"{warnings} warning{'s'[: warnings != 1]}"] if warnings else []
    return f" ({', '.join(parts)})" if parts else ""


def schema(
    settings: Annotated[
        bool, typer.Option("--settings", help="The schema of amodal.json.")
    ] = False,
    workflow: Annotated[
        bool, typer.Option("--workflow", help="The schema of a file of workflows/.")
    ] = False,
) -> int:
    """Print the JSON Schema of an automation file, for editors and CI."""
    from amodal_rt.definitions import schema as schemas

    if settings and workflow:
        hint = "ask for one of them"
        error = InvalidError("--settings and --workflow are two schemas", code="usage", hint=hint)
        return Output().error(error)
    make = schemas.workflow_schema if workflow else schemas.automation_schema
    document = schemas.settings_schema() if settings else make()
    print(json.dumps(document, indent=2))
    return codes.OK


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A Markdown automation.")],
) -> int:
    """Print the JSON form of a Markdown automation."""
    from amodal_rt.definitions.convert import convert as to_json

    output = Output()
    try:
        print(to_json(_bytes(file), str(file)))
    except AmodalError as error:
        return output.error(error)
    return codes.OK


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        from amodal_rt.errors import NotFoundError

        raise NotFoundError(f"{file}: {error.strerror}", code="file_not_found") from None


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")] = Path(),
) -> int:
    """Fill a folder with a complete example workspace."""
    from amodal_rt.workspace.template import copy_template

    output = Output()
    try:
        copy_template(folder)
    except AmodalError as error:
        return output.error(error)
    where = "" if folder == Path() else f" --workspace {shlex.quote(str(folder))}"
    output.say(f"made a workspace in {folder.resolve()}")
    output.say(f"next: amodal-rt up{where}")
    return codes.OK


def version() -> int:
    """Print the version."""
    print(__version__)
    return codes.OK
