"""What documents say of triggers that MCP servers watch."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import cast

from amodal_rt.clock import iso
from amodal_rt.domain.automation import Lifecycle
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.remote_trigger import RemoteState
from amodal_rt.domain.workspace import AutomationState
from amodal_rt.operations.shapes import Document
from amodal_rt.triggers.remote_standing import RemoteStanding

Watched = Callable[[str], Sequence[RemoteStanding]]
"""The triggers of one automation that servers watch, as this node knows them."""

NOT_WATCHED = "trigger_not_registered"
"""The code of a problem: a server does not watch, or nobody knows whether it does."""
UNKNOWN_PARAMS = "trigger_params"
"""The code of a problem: a server watches, but knows no such params."""
_NAMING = ("trigger", "event")
_HOLDING = ("triggers", "eventConditions", "event_conditions")
"""Where a file names the event that it waits for."""


def noted(row: Document, standings: Sequence[RemoteStanding]) -> Document:
    """The row of an automation, with what keeps servers from watching as its reason."""
    wrong = [each for each in standings if each.error is not None]
    if not wrong or row["reason"] or row["status"] != Lifecycle.ACTIVE:
        return row
    return {**row, "reason": f"{_named(wrong[0])} is not watched for: {wrong[0].error}"}


def noted_in_full(
    document: Document, standings: Sequence[RemoteStanding], state: AutomationState
) -> Document:
    """The whole document, with each such trigger, and what is wrong among its problems."""
    problems = list(cast("list[object]", document["problems"]))
    found = [_problem(each, state) for each in standings if each.error or each.remark]
    problems += [each.document() for each in found]
    return {
        **noted(document, standings),
        "problems": problems,
        "remote_triggers": [_shown(each) for each in standings],
    }


def _shown(found: RemoteStanding) -> Document:
    registration = found.registration
    return {
        "event": _event(found),
        "connection": registration.connection.name,
        "type": registration.type,
        "params": dict(registration.params),
        "state": found.state.value if found.state else "waiting",
        "error": found.error,
        "configured_at": iso(found.configured_at),
        "retry_at": iso(found.retry_at),
    }


def _problem(found: RemoteStanding, state: AutomationState) -> Problem:
    hint = "it is tried again by itself" if found.retry_at else None
    if found.state is RemoteState.AMBIGUOUS:
        hint = "what it reports is taken meanwhile, and it is asked again by itself"
    message = f"{_named(found)} is not watched for: {found.error}"
    return Problem(
        file=state.file,
        line=_line(_event(found), state),
        code=NOT_WATCHED if found.error else UNKNOWN_PARAMS,
        message=message if found.error else str(found.remark),
        severity="warning",
        hint=hint,
    )


def _line(event: str, state: AutomationState) -> int | None:
    """Where the file names the event first."""
    if state.definition is None:
        return None
    document: object = json.loads(state.definition.document)
    return next(
        (line for at in _places(document, event) if (line := state.definition.lines.get(at))), None
    )


def _places(value: object, event: str, at: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            if key in _NAMING and inner == event:
                yield f"{at}/{key}"
            elif key in _HOLDING:
                yield from _places(inner, event, f"{at}/{key}")
    elif isinstance(value, list):
        for place, inner in enumerate(cast("list[object]", value)):
            yield from _places(inner, event, f"{at}/{place}")


def _event(found: RemoteStanding) -> str:
    return f"{found.registration.connection.name}.{found.registration.type}"


def _named(found: RemoteStanding) -> str:
    """The event with the params that tell it from others of its type."""
    params = ", ".join(f"{key}: {value}" for key, value in found.registration.params.items())
    return _event(found) + (f" ({params})" if params else "")
