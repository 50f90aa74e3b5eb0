"""What automations may do, and what a change of files would let them do: in lines for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from amodal_rt.cli import output as codes
from amodal_rt.cli.output import Output
from amodal_rt.cli.verbs.approvals import decided
from amodal_rt.cli.verbs.door import Document, Door

_LIMITS = {
    "writes": "writes",
    "concurrency": "runs at once",
    "starts_per_hour": "starts an hour",
    "timeout_seconds": "seconds a run",
    "max_turns": "turns",
    "max_tokens": "tokens",
    "max_cost_usd": "dollars",
}


def powers(door: Door, name: str) -> int:
    """What one automation may do."""
    found = door.daemon.get(f"/v1/automations/{name}/powers")
    if door.output.as_json:
        door.output.document(found)
        return codes.OK
    door.output.say(f"{found['title']}  ({found['file']})")
    for label, value in _facts(found):
        door.output.say(f"  {label:<12} {value}")
    return codes.OK


def _facts(found: Document) -> Iterator[tuple[str, str]]:
    yield "writes", found["writes"]
    for line in found["write_grants"] or ():
        yield "", line
    if said := decided(found["approvals"]):
        yield "approvals", said
    if found["approvers"]:
        yield "decided by", ", ".join(found["approvers"])
    connections = [f"{each['name']} ({each['protocol']})" for each in found["connections"]]
    yield "connections", ", ".join(connections) or "none"
    yield from _each("reads", [f"{line}, by access.json" for line in found["reads"]])
    yield from _each("held", found["guards"])
    yield "tools", "all of these" if found["tools"] is None else ", ".join(found["tools"]) or "none"
    yield from _each("hosts", found["hosts"] or ["none"])
    yield from _each("programs", found["programs"])
    yield "secrets", ", ".join(found["secrets"]) or "none"
    yield from _each("models", found["models"])
    yield "delivers to", ", ".join(found["delivers_to"]) or "nobody"
    if found["run_as"]:
        yield "runs as", found["run_as"]
    if found["profile"]:
        yield from _each("sandbox", list(_sandbox(found["profile"])))
    yield from _each("budgets", [_budget(each) for each in found["budgets"]])
    bounds = [
        f"{found['limits'][key]:g} {word}"
        for key, word in _LIMITS.items()
        if isinstance(found["limits"].get(key), int | float)
    ]
    yield "limits", ", ".join(bounds)


def _sandbox(profile: Document) -> Iterator[str]:
    held = profile["isolation"]
    said = "no isolation: it may do what the daemon may" if held == "none" else f"by {held}"
    yield f"{profile['name']}@{profile['version']}, {said}"
    for each in profile["mounts"]:
        yield f"{each['source']} at {each['target']}" + (", writable" if each["writable"] else "")
    hosts = [each["host"] for each in profile["network"]]
    if held != "none":
        yield f"reaches {', '.join(hosts) or 'no host'}"
    if profile["tools"]:
        yield f"gives agents {', '.join(profile['tools'])}"


def _budget(budget: Document) -> str:
    cost = budget["measure"] == "cost_usd"
    what = "tokens" if budget["measure"] == "tokens" else "tokens of models without a price"
    limit = f"${budget['limit']:,.2f}" if cost else f"{budget['limit']:,.0f} {what}"
    return f"{limit} a day of {budget['of']} ({budget['rule']})"


def _each(label: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for place, line in enumerate(lines):
        yield ("" if place else label), line


def show_plan(output: Output, found: Mapping[str, Any], against: str) -> None:
    """What changed since that revision, for the whole workspace and automation by automation."""
    if found["workspace"]:
        output.say("the workspace, by amodal.json")
        _say_gained(output, found["workspace"])
    for row in found["automations"]:
        output.say(f"{row['name']}: {row['change']}")
        _say_gained(output, row["powers"])
        before, after = row["next"]["before"], row["next"]["after"]
        if before != after:
            output.say(f"  next {', '.join(after) or 'never'} (was {', '.join(before) or 'never'})")
    for word in ("hosts", "secrets"):
        if found[f"new_{word}"]:
            output.say(f"new {word}: {', '.join(found[f'new_{word}'])}")
    if not found["automations"]:
        output.say(f"no automation differs from {against}")


def _say_gained(output: Output, powers: Mapping[str, Sequence[str]]) -> None:
    for power, gained in powers.items():
        output.say(f"  + {power}" + (f": {', '.join(gained)}" if gained else ""))
