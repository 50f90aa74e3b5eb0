"""`ops automations next`: when a schedule is due, without a daemon."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from amodal_rt.cli import output as codes
from amodal_rt.cli.commands import options
from amodal_rt.cli.connect import find_root
from amodal_rt.cli.output import Output
from amodal_rt.clock import iso, parse_iso
from amodal_rt.domain.trigger import Schedule
from amodal_rt.errors import AmodalError, InvalidError, NotFoundError

_NAME_HELP = "The automation: its file's stem."


def next_times(
    name: Annotated[
        str | None, typer.Argument(help=_NAME_HELP, autocompletion=options.stems)
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(metavar="EXPR", help='A cron expression, or "every 15m".')
    ] = None,
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="IANA zone.")] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="ISO", help="After this.")] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 5,
    as_json: options.AsJson = False,
    workspace: options.Workspace = None,
) -> int:
    """Say when a schedule is due next. Needs no daemon."""
    if (name is None) == (schedule is None):
        raise typer.BadParameter("give a NAME, or --schedule EXPR")
    output = Output(as_json=as_json)
    try:
        after = _instant(start)
        if name is not None:
            schedules = _of_file(name, workspace, timezone)
        else:
            schedules = [_of_text(schedule or "", timezone or "UTC")]
        times = _merged(schedules, after, count)
    except AmodalError as error:
        return output.error(error)
    if as_json:
        output.document({"times": [iso(each) for each in times]})
        return codes.OK
    for each in times:
        output.say(f"{iso(each)}  {each.astimezone().strftime('%a %Y-%m-%d %H:%M %Z')}")
    if not times:
        output.say("never")
    return codes.OK


def _merged(schedules: list[Schedule], after: datetime, count: int) -> list[datetime]:
    from amodal_rt.domain.schedule import first_after

    times: list[datetime] = []
    while len(times) < count:
        due = [each for each in (first_after(one, after) for one in schedules) if each]
        if not due:
            break
        after = min(due)
        times.append(after)
    return times


def _instant(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        return parse_iso(text)
    except ValueError:
        raise InvalidError(
            f"--from {text!r} is not an ISO time with a zone",
            code="usage",
            hint="for example 2026-03-02T08:00:00Z",
        ) from None


def _of_text(text: str, timezone: str) -> Schedule:
    """Read `--schedule` by the rules of the file, so that both say the same."""
    from amodal_rt.definitions.automation import parse_automation
    from amodal_rt.domain.workspace import WorkspaceSettings

    word, _, rest = text.partition(" ")
    value: object = {word: rest} if word in ("every", "at") else text
    document = {"title": "next", "prompt": "next", "schedule": value, "timezone": timezone}
    parsed = parse_automation(
        json.dumps(document).encode(),
        file="next.json",
        settings=WorkspaceSettings(),
        read_prompt=str,
    )
    if parsed.definition is None:
        problem = parsed.problems[0]
        raise InvalidError(problem.message, code=problem.code, hint=problem.hint)
    return parsed.definition.automation.crons[0].schedule


def _of_file(name: str, workspace: str | None, timezone: str | None) -> list[Schedule]:
    from dataclasses import replace

    from amodal_rt.workspace.check import read_once

    root = find_root(Path(workspace) if workspace else None)
    state = asyncio.run(read_once(root)).automations.get(name)
    if state is None:
        raise NotFoundError(f"no automation {name} in {root}", code="automation_not_found")
    if state.definition is None:
        problem = next(each for each in state.problems if each.severity == "error")
        raise InvalidError(problem.sentence(), code=problem.code, hint=problem.hint)
    schedules = [each.schedule for each in state.definition.automation.crons]
    return [replace(each, timezone=timezone) if timezone else each for each in schedules]
