"""`ops automations …`."""

from typing import Annotated

import typer

from amodal_rt.cli.commands import authoring, options
from amodal_rt.cli.commands.upcoming import next_times
from amodal_rt.cli.connect import use
from amodal_rt.cli.payload import parse, parse_body
from amodal_rt.cli.verbs import automations, event_tests, reaching


def build() -> typer.Typer:
    """The group with all its verbs."""
    group = typer.Typer(help="What may run, and when.", no_args_is_help=True)
    for verb in (show, activate, pause, resume, reset, trigger, history, why, powers):
        group.command()(verb)
    group.command("list")(list_)
    group.command("next")(next_times)
    group.command("rotate-url")(rotate_url)
    group.command("test-event")(test_event)
    authoring.add_to(group)
    return group


def list_(as_json: options.AsJson = False, workspace: options.Workspace = None) -> int:
    """List automations with trigger, schedule, status and what comes next."""
    return use(automations.list_all, as_json=as_json, workspace=workspace)


def show(
    name: options.Name, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """Show one automation, with what is wrong with its file."""
    return use(lambda door: automations.show(door, name), as_json=as_json, workspace=workspace)


def activate(
    name: options.Name, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """Write `status: active` into the file."""
    return use(lambda door: automations.activate(door, name), as_json=as_json, workspace=workspace)


def pause(
    name: Annotated[
        str | None, typer.Argument(help="The automation.", autocompletion=options.stems)
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for whoever looks later.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Pause every automation.")] = False,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Stop an automation until it is resumed. Running runs finish; pending ones are cancelled."""
    if (name is None) == (not everything):
        raise typer.BadParameter("give one name, or --all")
    return use(
        lambda door: automations.pause(door, name, reason=reason, everything=everything),
        as_json=as_json,
        workspace=workspace,
    )


def resume(
    name: options.Name, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """Let a paused automation run again, from its next slot on."""
    return use(lambda door: automations.resume(door, name), as_json=as_json, workspace=workspace)


def reset(
    name: options.Name, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """Write `status: draft` into the file."""
    return use(lambda door: automations.reset(door, name), as_json=as_json, workspace=workspace)


def trigger(
    name: options.Name,
    payload: Annotated[
        str | None, typer.Option(help="The payload, as JSON; - or @FILE to read it.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="With --json: the finished run.")] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Use the built-in rehearsal model: no tokens.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Do not follow the run.")] = False,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Start a run now, follow it, and exit by its outcome. Works on paused automations too."""
    try:
        parsed = None if payload is None else parse(payload)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--payload") from error
    return use(
        lambda door: automations.trigger(
            door, name, payload=parsed, wait=wait, rehearse=rehearse, detach=detach
        ),
        as_json=as_json,
        workspace=workspace,
    )


def history(
    name: options.Name,
    status: options.Status = None,
    limit: options.Limit = 20,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """List an automation's runs, newest first."""
    return use(
        lambda door: automations.history(door, name, status=status, limit=limit),
        as_json=as_json,
        workspace=workspace,
    )


def powers(
    name: options.Name, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """Say what it may do: connections, writes, tools, hosts, programs, secrets, limits."""
    return use(lambda door: reaching.powers(door, name), as_json=as_json, workspace=workspace)


def why(
    name: options.Name,
    at: Annotated[
        str | None,
        typer.Option(help="An ISO time, past or to come; an event's, run's or delivery's id."),
    ] = None,
    limit: options.Limit = 20,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Say what became of each slot and event, and which rule decided."""
    return use(
        lambda door: automations.why(door, name, at=at, limit=limit),
        as_json=as_json,
        workspace=workspace,
    )


def rotate_url(
    name: options.Name, as_json: options.AsJson = False, workspace: options.Workspace = None
) -> int:
    """Give the automation a new webhook URL; the old one stops working."""
    return use(
        lambda door: automations.rotate_url(door, name), as_json=as_json, workspace=workspace
    )


def test_event(
    name: options.Name,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="A body as a provider sends it (JSON or a form), or all of an event as "
            "CloudEvents; - for standard input. "
            "Default the sample of a type that it waits for.",
        ),
    ] = None,
    type: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE",
            help="Which type of event it is; default what the body says, else any that is wanted.",
        ),
    ] = None,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Say whether and why an event would start it, with which prompt. Starts nothing.

    Exits 0 when it matches, 1 when it does not.
    """
    body: dict[str, object] = {} if type is None else {"type": type}
    if file is not None:
        try:
            body |= parse_body("-" if file == "-" else f"@{file}")
        except ValueError as error:
            raise typer.BadParameter(f"not JSON: {error}", param_hint="FILE") from error
    return use(
        lambda door: event_tests.show(door, name, body), as_json=as_json, workspace=workspace
    )
