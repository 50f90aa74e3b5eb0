"""The whole command line, in typer."""

import click
import typer

from amodal_rt.cli import output as codes
from amodal_rt.cli.commands import automations, local, outside, runs, up


def run(argv: list[str], *, program: str) -> int:
    """Parse and run; returns the exit code. Usage errors are shown by typer and give 2."""
    command = typer.main.get_command(build())
    words = argv
    if program == "ops" and isinstance(command, click.Group):
        # `ops --help` must speak of `ops`, not of `amodal-rt ops`.
        command, words = command.commands["ops"], argv[1:]
    try:
        result = command.main(args=words, prog_name=program, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return codes.USAGE
    except click.UsageError as error:
        error.show()
        return codes.USAGE
    except (click.Abort, KeyboardInterrupt):
        return 130
    except click.exceptions.Exit as error:
        return error.exit_code
    return result if isinstance(result, int) else codes.OK


def build() -> typer.Typer:
    """The tree of commands."""
    root = typer.Typer(
        name="amodal-rt",
        help="A directory of files becomes unattended AI-agent runs.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    ops = typer.Typer(help="Operate a running daemon.", no_args_is_help=True)
    ops.add_typer(automations.build(), name="automations")
    ops.add_typer(runs.build(), name="runs")
    for name, group in outside.groups().items():
        ops.add_typer(group, name=name)
    up.add_to(root)
    local.add_to(root)
    root.add_typer(ops, name="ops")
    return root
