"""What `amodal-rt up` says when it is ready: one line an automation, and what is wrong."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from amodal_rt.domain.automation import Automation, Definition, Lifecycle
from amodal_rt.domain.models import configured_models, found_keys
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workspace import AutomationState, Snapshot
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.operations.automation_shapes import (
    INVALID,
    Standing,
    event_names,
    schedule_text,
    status_of,
    zone,
)
from amodal_rt.operations.integrations import READY
from amodal_rt.operations.shapes import Document
from amodal_rt.settings import Environment

MOST_PROBLEMS = 50
"""A workspace with more is told by `amodal-rt validate`."""
MOST_UNSET = 2
"""So many unset variables are told one by one, more of them together."""


def greeting(
    standings: Sequence[Standing],
    snapshot: Snapshot,
    environment: Environment,
    *,
    now: datetime,
    local_only: bool,
    settings_file: str,
    integrations: Sequence[Document] = (),
    dashboard: str | None = None,
) -> Iterator[str]:
    """The lines, in order. Names, titles and file contents are made harmless for a terminal.

    `integrations` are as `ops integrations list` gives them; those that can take events are
    named with their address. `dashboard` is where people look at all this.
    """
    if remark := _rehearsal(snapshot, environment, settings_file):
        yield remark
    rows = [_row(each, now=now, local_only=local_only) for each in standings]
    rows += [_integration(each) for each in integrations if each["state"] == READY and each["url"]]
    # Beside one address, the powers of all others would stand beyond the edge of a terminal.
    counted = [row if "://" not in row[2] else (*row[:2], "") for row in rows]
    widths = [max((len(row[column]) for row in counted), default=0) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)]
        yield " " + "  ".join(cells).rstrip()
    if not rows:
        yield " no automations yet: put a JSON file into automations/"
    found = [*snapshot.problems]
    for each in standings:
        found += (*each.state.problems, *each.state.blocked)
    # What is odd about a graph is told of the graph, and of each automation that runs it.
    problems = list(dict.fromkeys(found))
    unset = [problem for problem in problems if problem.code == "env_missing"]
    if len(unset) > MOST_UNSET:
        problems = [problem for problem in problems if problem.code != "env_missing"]
        yield plain_line(_waiting(unset))
    for problem in problems[:MOST_PROBLEMS]:
        yield plain_line(f"{problem.severity}: {problem.sentence()}")
    if len(problems) > MOST_PROBLEMS:
        more = len(problems) - MOST_PROBLEMS
        yield f"and {more} more problems: run amodal-rt validate"
    if dashboard:
        yield f"dashboard at {dashboard}/ (amodal-rt dashboard --open needs no token)"


def upcoming(instant: datetime, now: datetime, zone: str) -> str:
    """`next Mon 09:00 (in 14 h)`, on the clock of the schedule's zone."""
    local = instant.astimezone(ZoneInfo(zone))
    gap = instant - now
    day = f"{local:%a %H:%M}" if gap < timedelta(days=6) else f"{local:%Y-%m-%d %H:%M}"
    return f"next {day} (in {_span(gap)})"


def _row(standing: Standing, *, now: datetime, local_only: bool) -> tuple[str, str, str, str]:
    state, definition = standing.state, standing.state.definition
    status, _ = status_of(standing)
    if definition is None:
        return plain_line(state.name), INVALID, "", ""
    remarks = [] if status == Lifecycle.ACTIVE else [_status(status, state)]
    if definition.automation.webhook is not None:
        remarks += ["local only"] if local_only else []
        remarks += ["unsigned"] if definition.automation.webhook.auth is None else []
    remarks.append(_powers(definition.automation))
    return (
        plain_line(state.name),
        _trigger(definition.automation),
        _comes(standing, definition, now),
        ", ".join(remarks),
    )


def _powers(automation: Automation) -> str:
    if automation.proposes:
        return "proposes writes"
    return "may write" if automation.write_enabled else "read-only"


def _integration(document: Document) -> tuple[str, str, str, str]:
    words = (document["name"], f"integration {document['provider']}", document["url"])
    name, kind, url = (plain_line(str(each)) for each in words)
    return name, kind, url, "local only" if document["local_only"] else ""


def _waiting(problems: Sequence[Problem]) -> str:
    """Where one secret after the other is still to be given, as in a workspace just begun."""
    files = ", ".join(dict.fromkeys(problem.file for problem in problems))
    return (
        f"waiting for environment variables, as .env may set them: {files} "
        "(amodal-rt validate names each)"
    )


def _trigger(automation: Automation) -> str:
    kinds = {each.kind.value for each in automation.triggers}
    parts: list[str] = []
    if text := schedule_text(automation):
        is_cron = any(each.schedule.cron for each in automation.crons)
        words = f"cron {text} {zone(automation)}" if is_cron else text
        parts.append(plain_line(words))
    names = list(dict.fromkeys(event_names(automation)))
    if names:
        more = f" +{len(names) - 1}" if len(names) > 1 else ""
        parts.append(plain_line(f"event {names[0]}{more}"))
    parts += sorted(kinds - {"cron", "event"})
    return ", ".join(parts)


def _comes(standing: Standing, definition: Definition, now: datetime) -> str:
    parts: list[str] = []
    if standing.next_run_at is not None:
        zone = definition.automation.crons[0].schedule.timezone
        parts.append(upcoming(standing.next_run_at, now, zone))
    if standing.webhook_url:
        parts.append(standing.webhook_url)
    return "  ".join(parts)


def _status(status: str, state: AutomationState) -> str:
    return f"{status}: the last good version runs" if state.stale and state.runnable else status


def _rehearsal(snapshot: Snapshot, environment: Environment, settings_file: str) -> str | None:
    definitions = [each.definition for each in snapshot.automations.values() if each.definition]
    agents, settings = snapshot.agents, snapshot.settings
    if settings.model or any(
        configured_models(each.automation, agents.get(each.automation.agent), settings)
        for each in definitions
    ):
        return None
    keys = found_keys(environment.find)
    found = f" ({', '.join(keys)} is set, and waits for it)" if keys else ""
    return (
        'no model configured: "rehearsal" serves; it reads and quotes, it understands nothing. '
        f'Set "model" in {settings_file}{found}'
    )


def _span(gap: timedelta) -> str:
    seconds = max(gap.total_seconds(), 0)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (unit == "min" and seconds >= size):
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds)} s"
