"""Which writes an automation may make, once it may write at all: its list `writes`.

A line covers a call, or it does not; what no line covers is refused. What allows is read as it
is written: capitals, encodings and spellings that a server may take for the same do not count.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

from amodal_rt.domain.automation import Pin, WriteGrant
from amodal_rt.domain.filter import MISSING, shown_path, value_at
from amodal_rt.guardrails.calls import Call, RestCall, ToolCall, endpoint_matches
from amodal_rt.guardrails.disguise import override


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
    if isinstance(call, ToolCall):
        fields, twin = call.arguments, _twin(call.arguments, pin.path)
    else:
        fields, twin = _fields(call), _elsewhere(call, pin.path)
    if twin is not None:
        return f"{place} is pinned, and the call says it twice, in {twin[:60]!r} too"
    found = value_at(fields, pin.path)
    if any(_equal(found, value) for value in pin.values):
        return None
    given = "is not there" if found is MISSING else f"is {_shown(found)}"
    return f"{place} is pinned to {_listed(pin.values)}, and {given}"


def _elsewhere(call: RestCall, path: Sequence[str]) -> str | None:
    """Where else in a request a server may find the pinned field: many read parameters and body
    as one, and a body by the type that a header gives it."""
    source, name, *_ = path
    own = _twin(_fields(call)[source], path[1:])
    if source == "data":
        kind = next((value for key, value in call.headers.items() if _typed(key)), "json")
        if "json" not in kind.casefold():
            return f"a body of type {kind}"
        return own or _nested(call.params, name, also=name)
    if isinstance(call.data, str) and name.casefold() in call.data.casefold():
        return "the body"
    named = ((key, None) for key in _keys(call.data))
    return own or _nested(call.params, name) or _nested(named, name, also=name)


def _keys(data: object) -> Iterable[str]:
    return cast("Mapping[str, object]", data) if isinstance(data, Mapping) else ()


def _typed(header: str) -> bool:
    return header.strip().casefold().replace("_", "-") == "content-type"


def _fields(call: RestCall) -> Mapping[str, object]:
    """`{params, data}`; a parameter that is repeated is a list."""
    params: dict[str, object] = {}
    for name, value in call.params:
        if name in params:
            before = params[name]
            params[name] = (
                [*cast("list[object]", before), value]
                if isinstance(before, list)
                else [before, value]
            )
        else:
            params[name] = value
    # A text is sent as it stands, and which of two equal keys counts is the server's choice.
    return {"params": params, "data": None if isinstance(call.data, str) else call.data}


def _twin(data: object, path: Sequence[str]) -> str | None:
    """Another key on the way that some servers take for the same: JSON readers of several
    languages do not look at capitals, and the last of two wins."""
    for key in path:
        if isinstance(data, Mapping):
            keys = cast("Mapping[str, object]", data)
            other = _other(keys, key)
            if other is not None:
                return other
        data = value_at(cast("object", data), (key,))
    return None


def _nested(
    params: Iterable[tuple[str, object]], name: str, *, also: str | None = None
) -> str | None:
    """A parameter that some servers read as one of that name: `to[]`, `to[0]`, `To`; the name
    itself does not count, but for `also`."""
    wanted = name.casefold()
    for each, _ in params:
        plain = each.casefold().strip()
        if plain.startswith((f"{wanted}[", f"{wanted}.")) or (
            plain == wanted and (each != name or each == also)
        ):
            return each
    return None


def _other(keys: Iterable[str], key: str) -> str | None:
    wanted = key.casefold()
    return next((each for each in keys if each != key and each.strip().casefold() == wanted), None)


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
