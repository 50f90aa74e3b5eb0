"""The whole command line, in typer."""

import os
import sys
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from amodal_rt.cli import output as codes
from amodal_rt.cli.commands import (
    approvals,
    audit,
    automations,
    bus,
    catalogue,
    dashboard,
    doctor,
    integrations,
    keeping,
    local,
    mcp,
    nodes,
    outside,
    plan,
    runs,
    spend,
    up,
    workflow,
)
from amodal_rt.cli.output import Output
from amodal_rt.errors import InvalidError


def run(argv: list[str], *, program: str) -> int:
    """Parse and run; returns the exit code. Usage errors are shown by typer and give 2."""
    # `ops --help` must speak of `ops`, not of `amodal-rt ops`, and complete as `ops`.
    tree, words = (build_ops(), argv[1:]) if program == "ops" else (build(), argv)
    command = typer.main.get_command(tree)
    try:
        result = command.main(args=words, prog_name=program, standalone_mode=False)
    except TyperException as error:
        _show(error)
        if "--json" in words and error.exit_code == codes.USAGE:
            Output(as_json=True).document({"error": _usage(error, program).document()})
        return error.exit_code
    except (Abort, KeyboardInterrupt):
        return 130
    return result if isinstance(result, int) else codes.OK


def _show(error: TyperException) -> None:
    """What is wrong with the line, and how it should be, on stderr."""
    # Usage errors know how to show themselves; typer keeps their class to itself.
    show = getattr(error, "show", None)
    if callable(show):
        show()
    else:
        print(f"error: {error}", file=sys.stderr)


def _usage(error: TyperException, program: str) -> InvalidError:
    """The error as a document."""
    return InvalidError(error.format_message(), code="usage", hint=f"{program} --help")


def build() -> typer.Typer:
    """The tree of commands."""
    root = typer.Typer(
        name="amodal-rt",
        help="A directory of files becomes unattended AI-agent runs.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    up.add_to(root)
    mcp.add_to(root)
    dashboard.add_to(root)
    local.add_to(root)
    plan.add_to(root)
    doctor.add_to(root)
    keeping.add_to(root)
    root.add_typer(bus.tokens(), name="tokens")
    root.add_typer(audit.group(), name="audit")
    root.add_typer(workflow.group(), name="workflow")
    root.add_typer(build_ops(), name="ops")
    return root


def _reached_at(
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Reach the daemon over TCP with the token in AMODAL_RT_TOKEN; default "
            "AMODAL_RT_URL, else its socket.",
        ),
    ] = None,
) -> None:
    """Operate a running daemon."""
    if url is not None:
        # As if it had been set for this one command: whoever connects asks there.
        os.environ["AMODAL_RT_URL"] = url


def build_ops() -> typer.Typer:
    """The tree of `ops`."""
    ops = typer.Typer(
        name="ops", help="Operate a running daemon.", no_args_is_help=True, callback=_reached_at
    )
    ops.add_typer(automations.build(), name="automations")
    ops.add_typer(runs.build(), name="runs")
    for name, group in outside.groups().items():
        ops.add_typer(group, name=name)
    ops.add_typer(approvals.build(), name="approvals")
    ops.add_typer(integrations.group(), name="integrations")
    ops.add_typer(catalogue.identities(), name="identities")
    ops.add_typer(nodes.group(), name="nodes")
    ops.command("spend")(spend.show)
    return ops
