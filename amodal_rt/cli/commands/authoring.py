"""`ops automations create|update|delete`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from amodal_rt.cli import output as codes
from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import use
from amodal_rt.cli.payload import parse
from amodal_rt.cli.verbs import authoring

_ENDINGS = (".json", ".md")
_File = Annotated[
    str | None,
    typer.Option(
        "--file", metavar="F", help="A whole file: .json, or .md; - for JSON on standard input."
    ),
]
_Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=JSON", help="A key of the file and its value; may be repeated."
    ),
]


def add_to(group: typer.Typer) -> None:
    """Add the verbs to `ops automations`."""
    for verb in (create, update, delete):
        group.command()(verb)


def create(
    name: Annotated[str, typer.Argument(help="The new automation: its file's stem.")],
    file: _File = None,
    prompt: Annotated[
        str | None, typer.Option(help="What the agent is asked; @FILE or - to read it.")
    ] = None,
    schedule: Annotated[str | None, typer.Option(help="When: a cron expression.")] = None,
    trigger: Annotated[
        str | None, typer.Option(help="webhook, manual, or the name of an event.")
    ] = None,
    assigned: _Set = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Write a new automation's file. It is live at once, and refused where it could not run.

    Its title is made from NAME, unless --set title=… says another; --set 'status="draft"' keeps
    its triggers from starting it.
    """
    keys: dict[str, object] = {
        "prompt": None if prompt is None else _text(prompt),
        "schedule": schedule,
        "trigger": trigger,
    }
    keys = {key: value for key, value in keys.items() if value is not None} | _keys(assigned)
    if file is not None and keys:
        raise typer.BadParameter("--file is a whole file: give it alone", param_hint="--file")
    if file is None:
        if not {"title", "name"} & keys.keys():
            keys = {"title": name.replace("-", " ").replace("_", " ").title(), **keys}
        body: authoring.Body = {"keys": keys}
    else:
        body = _whole(file)
    return use(
        lambda door: authoring.create(door, name, body), as_json=as_json, workspace=workspace
    )


def update(
    name: options.Name,
    assigned: _Set = None,
    file: _File = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Change keys of an automation's file, or the whole file; every other byte stays as it is.

    A key that is set to null is taken away.
    """
    keys = _keys(assigned)
    if (file is None) == (not keys):
        raise typer.BadParameter("give --set KEY=JSON, or --file")
    body = {"keys": keys} if file is None else _whole(file)
    return use(
        lambda door: authoring.update(door, name, body), as_json=as_json, workspace=workspace
    )


def delete(
    name: options.Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Delete an automation's file. Pending runs are cancelled; what it did stays on record."""
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("deleting needs --yes where nobody can be asked")
        if not typer.confirm(f"Delete the file of {name}?", err=True):
            return codes.FAILED
    return use(lambda door: authoring.delete(door, name), as_json=as_json, workspace=workspace)


def _keys(assigned: list[str] | None) -> dict[str, object]:
    keys: dict[str, object] = {}
    for each in assigned or ():
        key, equals, value = each.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{each!r} is not KEY=JSON", param_hint="--set")
        if key in keys:
            raise typer.BadParameter(f"{key} is set twice", param_hint="--set")
        try:
            keys[key] = parse(value)
        except ValueError as error:
            hint = f"a text stands in quotes: --set '{key}=\"…\"'"
            raise typer.BadParameter(
                f"{key}: not JSON: {error}; {hint}", param_hint="--set"
            ) from None
    return keys


def _whole(file: str) -> authoring.Body:
    ending = ".json" if file == "-" else Path(file).suffix
    if ending not in _ENDINGS:
        raise typer.BadParameter("a file ends in .json or .md", param_hint="--file")
    return {"text": _read(file), "ending": ending}


def _text(said: str) -> str:
    return _read(said.removeprefix("@")) if said == "-" or said.startswith("@") else said


def _read(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise typer.BadParameter(f"{file}: {why}") from None
