"""`ops events emit|replay` and `amodal-rt tokens …`."""

from typing import Annotated

import typer

from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import use
from amodal_rt.cli.payload import parse
from amodal_rt.cli.verbs import bus

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The token's name.")]


def add_events(group: typer.Typer) -> None:
    """Add the verbs of the bus to `ops events`."""
    group.command("emit")(emit)
    group.command("replay")(replay)


def tokens() -> typer.Typer:
    """`amodal-rt tokens`."""
    group = typer.Typer(help="What lets programs in through the TCP door.", no_args_is_help=True)
    group.command("create")(create_token)
    group.command("list")(list_tokens)
    group.command("revoke")(revoke_token)
    return group


def emit(
    type: Annotated[str, typer.Argument(metavar="TYPE", help="For example deploy.finished.")],
    data: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="What happened: JSON, @FILE, or - for standard input."),
    ] = None,
    subject: Annotated[str | None, typer.Option(help="What it happened to.")] = None,
    source: Annotated[str | None, typer.Option(help="Where it happened; default /cli.")] = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Say that something happened, and start what waits for it."""
    try:
        said = None if data is None else parse(data)
    except ValueError as error:
        raise typer.BadParameter(f"--data is not JSON: {error}") from None
    return use(
        lambda door: bus.emit(door, type, data=said, subject=subject, source=source),
        as_json=as_json,
        workspace=workspace,
    )


def replay(
    event: Annotated[str, typer.Argument(metavar="ID", help="An event id: evt_…")],
    again: Annotated[
        bool, typer.Option("--again", help="As a new event, also where it started a run before.")
    ] = False,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Start what an event starts by the files of now; who has a run of it starts no other."""
    return use(
        lambda door: bus.replay(door, event, again=again), as_json=as_json, workspace=workspace
    )


def create_token(
    name: _Name,
    scope: Annotated[
        list[str], typer.Option("--scope", help="read, trigger or manage; may be repeated.")
    ],
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Make a token. Its secret is printed once and kept nowhere."""
    return use(
        lambda door: bus.create_token(door, name, scopes=scope),
        as_json=as_json,
        workspace=workspace,
    )


def list_tokens(as_json: options.AsJson = False, workspace: options.Workspace = None) -> int:
    """List all tokens, without their secrets."""
    return use(bus.list_tokens, as_json=as_json, workspace=workspace)


def revoke_token(
    name: _Name, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """End a token, at once and on every node."""
    return use(lambda door: bus.revoke_token(door, name), as_json=as_json, workspace=workspace)
