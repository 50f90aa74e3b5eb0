"""Which writes an automation may make, once it may write at all: its list `writes`.

A line covers a call, or it does not; what no line covers is refused. What allows is read as it
is written: capitals, encodings and spellings that a server may take for the same do not count.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

from amodal_rt.domain.automation import Pin, WriteGrant
from amodal_rt.domain.filter import MISSING, shown_path
from amodal_rt.guardrails.calls import Call, ToolCall, endpoint_matches
from amodal_rt.guardrails.disguise import override
from amodal_rt.guardrails.fields import field_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """The line that covers a call: its place in the list, counted from 0, and how many calls of
    one run it covers, None for no bound of its own."""

    index: int
    per_run: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No line covers the call. `index` is the nearest line, whose pin the call does not keep;
    None where no line is about such a call."""

    why: str
    index: int | None = None


def find_grant(call: Call, connection: str, grants: Sequence[WriteGrant]) -> Granted | Refused:
    """The first line of the list that covers this call of that connection."""
    nearest: Refused | None = None
    for index, grant in enumerate(grants):
        if grant.connection != connection or not _about(call, grant):
            continue
        broken = next(filter(None, (_broken(call, pin) for pin in grant.pins)), None)
        if broken is None:
            return Granted(index=index, per_run=grant.per_run)
        nearest = nearest or Refused(why=broken, index=index)
    return nearest or Refused(why=f"{call.label} of {connection} is not among them")


def grant_line(call: Call, connection: str) -> str:
    """The line that would cover the call, as a file spells it."""
    key = "tool" if isinstance(call, ToolCall) else "endpoint"
    return json.dumps({"connection": connection, key: call.label}, ensure_ascii=False)


def grant_text(grant: WriteGrant) -> str:
    """The line in words: `POST /items of crm, where data.owner is "me", at most 1 a run`."""
    what = grant.endpoint or (f"tool {grant.tool}" if grant.tool else "every write")
    pins = "".join(f", where {shown_path(pin.path)} is {_listed(pin.values)}" for pin in grant.pins)
    bound = "" if grant.per_run is None else f", at most {grant.per_run} a run"
    return f"{what} of {grant.connection}{pins}{bound}"


def _listed(values: Sequence[object]) -> str:
    return " or ".join(json.dumps(each, ensure_ascii=False) for each in values)


def _about(call: Call, grant: WriteGrant) -> bool:
    if grant.endpoint is None and grant.tool is None:
        return True
    if isinstance(call, ToolCall):
        return grant.tool is not None and fnmatchcase(call.tool, grant.tool)
    if grant.endpoint is None:
        return False
    methods = {call.method, override(call.headers, call.params, call.data) or call.method}
    # A server that honours an override does what it says, one that does not the method.
    return all(
        endpoint_matches(grant.endpoint, method, call.path, exact=True) for method in methods
    )


def _broken(call: Call, pin: Pin) -> str | None:
    """How the call breaks the pin, or None where it keeps it."""
    place = shown_path(pin.path)
    found, twin = field_at(call, pin.path)
    if twin is not None:
        return f"{place} is pinned, and the call says it twice, in {twin[:60]!r} too"
    if any(_equal(found, value) for value in pin.values):
        return None
    given = "is not there" if found is MISSING else f"is {_shown(found)}"
    return f"{place} is pinned to {_listed(pin.values)}, and {given}"


def _equal(one: object, other: object) -> bool:
    """Equality of JSON: `1` is `1.0`, `true` is not `1`."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        left, right = cast("Mapping[str, object]", one), cast("Mapping[str, object]", other)
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(one, list) and isinstance(other, list):
        pair = cast("list[object]", one), cast("list[object]", other)
        return len(pair[0]) == len(pair[1]) and all(map(_equal, *pair))
    if isinstance(one, Mapping | list) or isinstance(other, Mapping | list):
        return False
    return one == other


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:80]}…"
