"""`amodal-rt doctor`: what would keep a workspace from working on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from amodal_rt.cli import output as codes
from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import find_state
from amodal_rt.cli.output import Output
from amodal_rt.client import running_daemons
from amodal_rt.errors import AmodalError
from amodal_rt.settings import load_process_settings, process_environment


def add_to(root: typer.Typer) -> None:
    """Add the command."""
    root.command()(doctor)


def doctor(
    workspace: Annotated[
        Path | None, typer.Option("--workspace", metavar="DIR", help="The workspace that is meant.")
    ] = None,
    as_json: options.AsJson = False,
) -> int:
    """Look for what would keep a workspace from working here, and say what to do about it.

    Changes nothing and needs no daemon. Exit 1 when something is wrong; warnings alone are exit 0.
    """
    from amodal_rt.daemon.examining import Finding, Level, examine_all, patient_of

    output = Output(as_json=as_json)
    try:
        root, state = find_state(workspace)
        running = next((each for each in running_daemons() if each.state_dir == state), None)
        listen = load_process_settings().listen
        patient = patient_of(root, state, process_environment(), listen=listen, running=running)
        findings: list[Finding] = []
        for each in examine_all(patient):
            findings.append(each)
            output.say(f"{each.level:<8} {each.check:<10} {each.said}")
            if each.hint and each.level is not Level.OK:
                output.say(f"{'':<20}{each.hint}")
    except AmodalError as error:
        return output.error(error)
    wrong = sum(each.level is Level.WRONG for each in findings)
    if as_json:
        shown = [
            {"check": each.check, "level": each.level, "said": each.said, "hint": each.hint}
            for each in findings
        ]
        output.document({"well": not wrong, "findings": shown})
    return codes.FAILED if wrong else codes.OK
