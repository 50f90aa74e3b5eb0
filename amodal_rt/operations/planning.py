"""What a change of files changes: for `amodal-rt plan`, and what an automation may do at all."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from amodal_rt.clock import iso
from amodal_rt.domain.automation import Definition
from amodal_rt.domain.budget import day_budgets
from amodal_rt.domain.profile import Profile
from amodal_rt.domain.schedule import first_after
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.guardrails.grants import grants_of
from amodal_rt.guardrails.reach import Reach, gained, guard_text, reach_of
from amodal_rt.guardrails.settings_reach import gained_by_settings
from amodal_rt.guardrails.write_grants import grant_text
from amodal_rt.operations import automation_shapes
from amodal_rt.operations.shapes import Document

FIRES = 3


def powers(definition: Definition, snapshot: Snapshot) -> Document:
    """What the automation may do, by its file and those beside it: connections, writes, tools,
    hosts, programs, secrets (their names), receivers, the sandbox of its programs, what models
    may cost, and limits."""
    automation = definition.automation
    reach = reach_of(definition, snapshot)
    agent = snapshot.agents.get(automation.agent)
    profile = snapshot.profile_of(automation)
    tools = grants_of(automation, agent, profile).tools
    return {
        "name": automation.name,
        "title": automation.title,
        "file": definition.file,
        "definition": definition.hash,
        "agent": automation.agent,
        "run_as": automation.run_as,
        "write_enabled": "propose" if automation.proposes else automation.write_enabled,
        "writes": automation_shapes.writes(automation),
        "write_grants": None
        if automation.writes is None
        else [grant_text(each) for each in automation.writes],
        "connections": [
            {"name": name, "protocol": snapshot.connections[name].protocol.value}
            for name in reach.connections
        ],
        "reads": sorted(reach.reads),
        "guards": sorted(guard_text(line, above) for line, above in reach.guards.items()),
        "tools": None if tools is None else list(tools),
        "hosts": sorted(reach.hosts),
        "programs": sorted(reach.programs),
        "secrets": sorted(reach.secrets),
        "models": sorted(reach.models),
        "delivers_to": sorted(reach.receivers),
        "profile": _sandbox(profile) if profile else None,
        "budgets": list(_budgets(definition, snapshot)),
        "approvers": list(automation.approvals.approvers),
        "limits": automation_shapes.limits(automation),
    }


def _sandbox(profile: Profile) -> Document:
    return {
        "name": profile.name,
        "version": profile.version,
        "isolation": profile.isolation.value,
        "network": [{"host": str(each), "intent": each.intent.value} for each in profile.network],
        "mounts": [
            {"source": each.source, "target": each.target, "writable": each.writable}
            for each in profile.mounts
        ],
        "tools": list(profile.tools),
    }


def _budgets(definition: Definition, snapshot: Snapshot) -> Iterable[Document]:
    """Those of a day, its own first; what one run may use stands in the limits."""
    automation = definition.automation
    found = day_budgets(snapshot.settings, automation.name, automation.limits, definition.file)
    for each in found:
        yield {
            "of": "automation" if each.automation is not None else "workspace",
            "measure": each.measure.value,
            "limit": each.limit,
            "rule": each.rule,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The `document` for programs; whether any power is `widened`, and which automations and
    other files that changed are `invalid`, so that of them nothing is known."""

    document: Document
    widened: bool
    invalid: tuple[str, ...]


def plan(old: Snapshot, new: Snapshot, *, now: datetime) -> Plan:
    """What becomes of each automation that `new` has otherwise than `old`, by name. What stays as
    it is in every way is left out.
    """
    rows = [
        row
        for name in sorted(old.automations.keys() | new.automations.keys())
        if (row := _row(name, old, new, now)) is not None
    ]
    before, after = _reaches(old), _reaches(new)
    everywhere = gained_by_settings(old.settings, new.settings)
    widened = bool(everywhere) or any(row["powers"] for row in rows)
    document: Document = {
        "widened": widened,
        "workspace": everywhere,
        "automations": rows,
        "new_hosts": sorted(_hosts(after) - _hosts(before)),
        "new_secrets": sorted(_secrets(after) - _secrets(before)),
    }
    invalid = [str(row["name"]) for row in rows if row["change"] == "invalid"]
    return Plan(document, widened, (*invalid, *_broken(old, new)))


def _broken(old: Snapshot, new: Snapshot) -> list[str]:
    """The files, of no automation, that are wrong in another way than they were."""
    wrong = {each for each in new.problems if each.severity == "error"} - set(old.problems)
    return sorted({each.file for each in wrong})


def _row(name: str, old: Snapshot, new: Snapshot, now: datetime) -> Document | None:
    before, after = _definition(old, name), _definition(new, name)
    state = new.automations.get(name)
    change = "added" if before is None else "changed"
    powers: dict[str, list[str]] = {}
    if state is None:
        change = "removed"
    elif after is None:
        change = "invalid"
    else:
        powers = gained(before, old, after, new)
        if before is not None and before.hash == after.hash and not powers:
            return None
    fires = {"before": _fires(before, now), "after": _fires(after, now)}
    return {"name": name, "change": change, "powers": powers, "next": fires}


def _definition(snapshot: Snapshot, name: str) -> Definition | None:
    state = snapshot.automations.get(name)
    return state.definition if state else None


def _fires(definition: Definition | None, now: datetime) -> list[str]:
    times: list[datetime] = []
    schedules = [each.schedule for each in definition.automation.crons] if definition else []
    after = now
    while len(times) < FIRES:
        due = [each for each in (first_after(one, after) for one in schedules) if each]
        if not due:
            break
        after = min(due)
        times.append(after)
    return [text for each in times if (text := iso(each))]


def _reaches(snapshot: Snapshot) -> list[Reach]:
    found = (_definition(snapshot, name) for name in snapshot.automations)
    return [reach_of(each, snapshot) for each in found if each is not None]


def _hosts(reaches: Iterable[Reach]) -> set[str]:
    return {host for each in reaches for host in each.hosts}


def _secrets(reaches: Iterable[Reach]) -> set[str]:
    return {name for each in reaches for name in each.secrets}
