"""What one node holds of a workspace that several serve."""

from amodal_rt.domain import schedule
from amodal_rt.domain.automation import Definition, Lifecycle
from amodal_rt.domain.workspace import Snapshot


def armed(snapshot: Snapshot, name: str) -> Definition | None:
    """The version of `name` whose schedules count, or None."""
    definition = snapshot.find(name)
    if definition is None or definition.automation.status is Lifecycle.DRAFT:
        return None
    return definition


def holdings(snapshot: Snapshot) -> dict[str, frozenset[str]]:
    """Every automation that has a file, with the fingerprints of the schedules that count."""
    found: dict[str, frozenset[str]] = {}
    for name in snapshot.automations:
        definition = armed(snapshot, name)
        crons = definition.automation.crons if definition else ()
        found[name] = frozenset(schedule.fingerprint(each.schedule) for each in crons)
    return found
