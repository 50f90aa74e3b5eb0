"""What stands in a field of a call, as whatever server reads it.

Servers differ in which of two equal keys counts, in whether parameters and body are one, in
whether capitals matter. A field is only known where all of them must read the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from amodal_rt.domain.filter import value_at
from amodal_rt.guardrails.calls import Call, RestCall, ToolCall


def field_at(call: Call, path: Sequence[str]) -> tuple[object, str | None]:
    """The value at the path, or `MISSING`; and where else in the call a server may find one for
    that field, None where nowhere. A path begins with `params` or `data` of a request, and with
    an argument of a tool."""
    if isinstance(call, ToolCall):
        return value_at(call.arguments, tuple(path)), _twin(call.arguments, path)
    return value_at(_fields(call), tuple(path)), _elsewhere(call, path)


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
