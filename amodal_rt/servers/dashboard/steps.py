"""Entries of a journal as rows that people read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from amodal_rt.domain.journal import UNSHOWN, Entry, EntryType
from amodal_rt.guardrails.untrusted import plain_line
from amodal_rt.servers.dashboard.words import instant, pretty, reason

SHORT = 200
"""Characters of a row's sentence."""
INLINE = 400
"""Characters of a detail that stand with the row; the entry has a page of its own for all."""

_ROOMS: Mapping[str, str] = {
    "run": "Run",
    "turn": "Model",
    "tool": "Tool",
    "write": "Write",
    "gate": "Gate",
    "expect": "Check",
    "node": "Node",
    "event": "Event",
    "store": "Store",
    "delivery": "Delivery",
    "approval": "Approval",
}
_TONES: Mapping[str, str] = {
    "finished": "good",
    "answered": "good",
    "written": "good",
    "emitted": "good",
    "failed": "bad",
    "denied": "bad",
    "waiting": "wait",
}
_ENDS: Mapping[str, str] = {"completed": "good", "failed": "bad"}
_REFUSED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One field of an entry; `missing` characters are left out."""

    name: str
    text: str
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One row. `tone` is `good`, `bad`, `wait` or nothing; `depth` is 1 below another step."""

    sequence: int
    at: str
    room: str
    what: str
    tone: str
    words: str
    tokens: str
    depth: int
    details: tuple[Detail, ...]


def step_of(entry: Entry, *, inline: int | None = INLINE) -> Step:
    """An entry in words; `inline` None keeps its details whole."""
    room, _, what = entry.type.value.partition(".")
    data = {key: each for key, each in entry.data.items() if key not in UNSHOWN}
    return Step(
        sequence=entry.sequence,
        at=f"{entry.at:%H:%M:%S}",
        room=_ROOMS.get(room, room),
        what="refused" if what == _REFUSED else what,
        tone=_tone(entry, what),
        words=plain_line(" · ".join(_words(data)), SHORT),
        tokens=_tokens(data),
        depth=1 if entry.parent else 0,
        details=tuple(_details(data, inline)),
    )


def _tone(entry: Entry, what: str) -> str:
    if entry.type is EntryType.RUN_FINISHED:
        return _ENDS.get(str(entry.data.get("status")), "")
    return _TONES.get(what, "")


def _words(data: Mapping[str, object]) -> Iterator[str]:
    """What the row says, one thing after another."""
    if data.get("tool"):
        yield " ".join(_call(data))
    elif data.get("node"):
        yield " ".join(_node(data))
    elif data.get("model"):
        yield str(data["model"])
    elif "open" in data:
        yield str(data.get("rule"))
    elif data.get("source"):
        yield f"by {data.get('name')}"
    names = [str(each.get("tool")) for each in _objects(data.get("calls"))]
    if names:
        yield f"calls {', '.join(names)}"
    if isinstance(data.get("approved"), bool):
        yield f"{'approved' if data['approved'] else 'denied'} by {data.get('by')}"
    for key in ("status", "reason", "error", "rule", "hint", "note", "message", "text", "type"):
        value = data.get(key)
        if isinstance(value, str) and value and not _is_known(key, data):
            yield reason(value) if key == "reason" else value


def _is_known(key: str, data: Mapping[str, object]) -> bool:
    """Whether a rule says no more than that a call was let through, or was said before."""
    if key not in ("rule", "hint"):
        return False
    return "open" in data or ("tool" in data and "reason" not in data)


def _node(data: Mapping[str, object]) -> Iterator[str]:
    yield str(data["node"])
    if data.get("next"):
        yield f"→ {data['next']}"
    if data.get("until"):
        yield f"until {instant(str(data['until']))}"


def _call(data: Mapping[str, object]) -> Iterator[str]:
    """`request GET runtime /runs → 200`, or the tool with its arguments."""
    said = data.get("arguments")
    arguments: Mapping[str, object] = (
        cast("Mapping[str, object]", said) if isinstance(said, dict) else {}
    )
    yield str(data["tool"])
    if "endpoint" in arguments:
        yield from (str(arguments.get(key, "")) for key in ("method", "connection", "endpoint"))
    elif arguments:
        yield json.dumps(arguments, ensure_ascii=False, default=str)
    if isinstance(data.get("status"), int):
        yield f"→ {data['status']}"


def _objects(value: object) -> list[Mapping[str, object]]:
    found = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("Mapping[str, object]", each) for each in found if isinstance(each, dict)]


def _tokens(data: Mapping[str, object]) -> str:
    asked, said = data.get("input_tokens"), data.get("output_tokens")
    if not isinstance(asked, int) or not isinstance(said, int):
        return ""
    return f"{asked:,} in, {said:,} out"


def _details(data: Mapping[str, object], inline: int | None) -> Iterator[Detail]:
    for name, value in data.items():
        if value is None or value in ("", [], {}):
            continue
        text = pretty(value)
        kept = text if inline is None else text[:inline]
        yield Detail(name=name, text=kept, missing=len(text) - len(kept))
