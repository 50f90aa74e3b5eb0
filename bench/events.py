"""Matching: what one event costs among a thousand automations of which ten want it."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from amodal_rt.clock import SystemClock
from amodal_rt.definitions.automation import parse_automation
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.event import Event
from amodal_rt.domain.glob import fits
from amodal_rt.domain.workspace import AutomationState, Snapshot, WorkspaceSettings
from amodal_rt.ids import SystemIds
from amodal_rt.triggers.matching import Matching, conditions_of
from amodal_rt.triggers.wanting import is_wanted
from bench.report import Figure

AUTOMATIONS = 1_000
EVENTS = 10_000
_GROUPS = 100
"""As many repositories, or types; ten automations want each."""
_NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


def measure() -> list[Figure]:
    """By type, by what all of one type ask for, by globs, and with keys to print."""
    by_type = [{"trigger": f"ci.job{number % _GROUPS}.done"} for number in range(AUTOMATIONS)]
    by_filter = [
        {"trigger": "ci.done", "filter": {"repository.name": f"repo-{number % _GROUPS}"}}
        for number in range(AUTOMATIONS)
    ]
    by_params = [
        {"trigger": "ci.done", "params": {"job": f"job{number % _GROUPS}"}}
        for number in range(AUTOMATIONS)
    ]
    by_glob = [{"trigger": f"ci.*b{number % _GROUPS}.*"} for number in range(AUTOMATIONS)]
    keyed = [{**each, "conversationKey": "{{ payload.repository.name }}"} for each in by_type]
    return [
        _figure("own types", by_type, "ci.job{}.done"),
        _figure("one type and a filter each", by_filter, "ci.done"),
        _figure("one type and params each", by_params, "ci.done"),
        _figure("globs", by_glob, "ci.job{}.done"),
        _figure("own types and a conversation key each", keyed, "ci.job{}.done"),
    ]


def _figure(what: str, keys: Sequence[Mapping[str, object]], type: str) -> Figure:
    files = _snapshot(keys)
    events = [_event(number, type) for number in range(EVENTS)]
    matching = Matching(SystemIds(SystemClock()))
    matching.starts_for(events[0], files, {}, now=_NOW)
    began = time.process_time()
    found = sum(len(matching.starts_for(each, files, {}, now=_NOW)[0]) for each in events)
    taken = time.process_time() - began
    assert found == EVENTS * AUTOMATIONS // _GROUPS, "one in a hundred matches"
    return Figure(
        name=f"an event, {AUTOMATIONS:,} automations, 1 % match: {what}",
        value=taken / EVENTS * 1e6,
        unit="us",
        baseline=_look_at_all(files, events[: EVENTS // 100]),
        baseline_name="a look at each",
        aim="< 1,000 us",
        at_most=1_000,
    )


def _look_at_all(files: Snapshot, events: list[Event]) -> float:
    """Microseconds an event when every condition is asked, and no start is made."""
    definitions = [each.definition for each in files.automations.values() if each.definition]
    began = time.process_time()
    for event in events:
        for definition in definitions:
            any(
                fits(each.event, event.type) and is_wanted(each.wanted, event, files.identities)
                for each in conditions_of(definition)
            )
    return (time.process_time() - began) / len(events) * 1e6


def _snapshot(keys: Sequence[Mapping[str, object]]) -> Snapshot:
    found = [_definition(f"auto-{number:04}", each) for number, each in enumerate(keys)]
    states = {
        each.automation.name: AutomationState(
            name=each.automation.name, file=each.file, definition=each
        )
        for each in found
    }
    return Snapshot(version=1, automations=states)


def _definition(name: str, keys: Mapping[str, object]) -> Definition:
    text = json.dumps({"title": name, "prompt": "x", **keys})
    parsed = parse_automation(
        text.encode(),
        file=f"automations/{name}.json",
        settings=WorkspaceSettings(),
        read_prompt=str,
    )
    assert parsed.definition is not None, parsed.problems
    return parsed.definition


def _event(number: int, type: str) -> Event:
    group = number % _GROUPS
    return Event(
        id=f"evt_{number:016}",
        type=type.format(group),
        source="/ci",
        data={"job": f"job{group}", "repository": {"name": f"repo-{group}"}, "n": number},
        time=_NOW,
        received_at=_NOW,
    )
