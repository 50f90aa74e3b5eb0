"""What a change of an automation would let it do that it may not do now (specification §6.3).

Only a person who edits files grants powers: what programs and agents write may narrow them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import cast
from urllib.parse import urlsplit

from amodal_rt.domain.automation import Automation, Definition, WriteGrant, WriteLimits
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.delivery import Target, TargetType
from amodal_rt.domain.secret import SecretRef
from amodal_rt.domain.workspace import Snapshot

_SET = {
    "command": "command",
    "profile": "profile",
    "acknowledge": "acknowledge",
    "runAs": "runAs",
    "run_as": "runAs",
    "runAsUser": "runAs",
    "run_as_user": "runAs",
}
"""Keys that grant something by being set at all."""


def widened(before: Definition | None, after: Definition, snapshot: Snapshot) -> list[str]:
    """The keys by which `after` may do more than `before`, which is None for a new one.

    Files beside it count as they are now: a list that is left out is its agent's, else all.
    """
    old, new = before.automation if before else None, after.automation
    found = _newly_set(before, after)
    if new.write_enabled and not (old and old.write_enabled):
        found.append("writeEnabled")
    if _more_writes(old, new):
        found.append("writes")
    bounds = old.limits.writes if old else WriteLimits()
    if _by_default(after, "limits", snapshot):
        bounds = new.limits.writes
    if new.limits.writes.per_run > bounds.per_run or new.limits.writes.per_hour > bounds.per_hour:
        found.append("limits.writes")
    if _more_approvers(old, new):
        found.append("approvals")
    if set(new.env) - set(old.env if old else ()):
        found.append("env")
    if old is not None:
        found += _lists(old, new, snapshot.agents)
    seen = _named(snapshot) | (_receivers(before, snapshot) if before else frozenset[str]())
    if _receivers(after, snapshot) - seen:
        found.append("delivery")
    return sorted(set(found))


def _more_approvers(old: Automation | None, new: Automation) -> bool:
    """Whether somebody may decide who might not: by name, or by a link in a message."""
    known = {each.key for each in old.approvals.targets} if old else set[str]()
    if {each.key for each in new.approvals.targets} - known:
        return True
    before = old.approvals.approvers if old else ()
    return bool(before) and not within(new.approvals.approvers or None, before)


def _more_writes(old: Automation | None, new: Automation) -> bool:
    """Whether the list covers a write that it did not: a list narrows what `writeEnabled` opens,
    so that one that is taken away widens, and a first one where nothing was open is a grant."""
    if new.writes is None:
        return _open(new) and old is not None and old.writes is not None
    if old is None or old.writes is None:
        return bool(new.writes) and not (old and _open(old))
    left = {place: each.per_run for place, each in enumerate(old.writes) if each.per_run}
    for each in new.writes:
        places = [place for place, one in enumerate(old.writes) if _no_more(each, one)]
        free = [place for place in places if place not in left]
        # Two lines within a bounded one may together cover no more than it.
        room = [place for place in places if each.per_run and left.get(place, 0) >= each.per_run]
        if not free and not room:
            return True
        if not free:
            left[room[0]] = (left[room[0]] or 0) - (each.per_run or 0)
    return False


def _open(automation: Automation) -> bool:
    """Whether it may make writes at all, be it with a person's leave."""
    return automation.write_enabled or automation.proposes


def _no_more(new: WriteGrant, old: WriteGrant) -> bool:
    """Whether the line covers what the old one does, or less as far as can be told at sight."""
    within = old.per_run is None or (new.per_run is not None and new.per_run <= old.per_run)
    # A line of a whole connection says nothing of fields, so it pins none.
    whole = old.endpoint is None and old.tool is None and new.connection == old.connection
    same = (new.connection, new.endpoint, new.tool) == (old.connection, old.endpoint, old.tool)
    return within and (whole or (same and all(pin in new.pins for pin in old.pins)))


def _newly_set(before: Definition | None, after: Definition) -> list[str]:
    old, new = _document(before), _document(after)
    return [
        word
        for key, word in _SET.items()
        if new.get(key) is not None and new[key] not in [old.get(other) for other in _same(word)]
    ] + (["writeEnabled"] if _proposes(new) and not (_proposes(old) or _writes(old)) else [])


def _same(word: str) -> list[str]:
    return [key for key, each in _SET.items() if each == word]


def _proposes(document: Mapping[str, object]) -> bool:
    return "propose" in (document.get("writeEnabled"), document.get("write_enabled"))


def _writes(document: Mapping[str, object]) -> bool:
    return True in (document.get("writeEnabled"), document.get("write_enabled"))


def _document(found: Definition | None) -> Mapping[str, object]:
    return cast("Mapping[str, object]", json.loads(found.document)) if found else {}


def _lists(old: Automation, new: Automation, agents: Mapping[str, Agent]) -> list[str]:
    before, after = agents.get(old.agent), agents.get(new.agent)
    found: list[str] = []
    if not within(_granted(new, after, "connections"), _granted(old, before, "connections")):
        found.append("connections")
    if not within(_granted(new, after, "tools"), _granted(old, before, "tools")):
        found.append("tools")
    return found


def _granted(automation: Automation, agent: Agent | None, key: str) -> Sequence[str] | None:
    own: Sequence[str] | None = getattr(automation, key)
    return own if own is not None or agent is None else getattr(agent, key)


def within(new: Sequence[str] | None, old: Sequence[str] | None) -> bool:
    """Whether each of `new` was granted before; None grants all."""
    if old is None:
        return True
    return new is not None and all(any(fnmatchcase(each, one) for one in old) for each in new)


def _by_default(found: Definition, key: str, snapshot: Snapshot) -> bool:
    """Whether the settings say it for every automation that does not."""
    default = snapshot.settings.defaults.get(key)
    return default is not None and _document(found).get(key) == default


def _receivers(found: Definition, snapshot: Snapshot) -> frozenset[str]:
    """Where it sends, but for what the settings make every automation send."""
    automation = found.automation
    targets: list[Target] = []
    if automation.delivery and not _by_default(found, "delivery", snapshot):
        targets += automation.delivery.targets
    if not _by_default(found, "approvals", snapshot):
        targets += automation.approvals.targets
    if automation.failure_alert and not _by_default(found, "failureAlert", snapshot):
        targets += automation.failure_alert.targets
    return frozenset(_receiver(each) for each in targets)


def _named(snapshot: Snapshot) -> frozenset[str]:
    """Receivers that the settings name: a reviewer has seen them."""
    settings = snapshot.settings
    named: Iterable[Target] = (*settings.targets.values(), *settings.alerts.targets)
    return frozenset(_receiver(each) for each in named)


def _receiver(target: Target) -> str:
    if target.type is TargetType.CALLBACK:
        return f"callback {target.name or ''}"
    if isinstance(target.url, SecretRef):
        return f"variable {target.url}"
    parts = urlsplit(target.url or "")
    return f"{parts.scheme}://{parts.netloc.lower()}"
