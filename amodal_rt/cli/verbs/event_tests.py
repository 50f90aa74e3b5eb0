"""`ops automations test-event`."""

from collections.abc import Mapping

from amodal_rt.cli import output as codes
from amodal_rt.cli.verbs.door import Document, Door


def show(door: Door, name: str, body: Mapping[str, object]) -> int:
    """Print what the event would do; exit 0 when it matches, 1 when it does not."""
    found = door.daemon.post(f"/v1/automations/{name}/test-event", dict(body))
    if door.output.as_json:
        door.output.document(found)
    else:
        for line in _lines(found):
            door.output.say(line)
    return codes.OK if found["matches"] else codes.FAILED


def _tried_sample(found: Document) -> list[str]:
    if found["sample"] is None:
        return []
    others = len(found["samples"]) - 1
    more = f", one of {others + 1} samples; --type names another" if others else ""
    return [f"tried with the sample of {found['sample']}{more}"]


def _lines(found: Document) -> list[str]:
    lines = [*_tried_sample(found)]
    lines.append(f"{'matches' if found['matches'] else 'does not match'}: {found['rule']}")
    for each in found["conditions"]:
        mark = "yes" if each["matches"] else "no"
        lines.append(f"  {mark:<4} {each['event']}: {each['rule']}")
    if found["gate"]:
        gate = found["gate"]
        what = f"{gate['reads']} ({gate['path']})" if gate["path"] else gate["reads"]
        lines.append(
            f"a gate would still decide: what {what} over {gate['connection']} says must "
            f"{gate['must']}; it was not asked here"
        )
    if found["skipped"]:
        skipped = found["skipped"]
        lines.append(f"it would be skipped now ({skipped['reason']}): {skipped['rule']}")
    for label, key in (
        ("conversation key", "conversation_key"),
        ("idempotency key", "idempotency_key"),
        ("coalesce key", "coalesce_key"),
        ("requester", "requester"),
    ):
        if found[key] is not None:
            lines.append(f"{label}: {found[key]}")
    if found["fault"]:
        lines.append(f"the run would fail: {found['fault']}")
    if found["rendered"] is not None:
        lines += ["", "prompt:", found["rendered"]]
    return lines
