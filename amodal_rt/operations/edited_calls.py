"""A parked call as a person may change it: what is free in it, and what stays as it is."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from amodal_rt.domain.filter import MISSING, Path, shown_path, value_at
from amodal_rt.errors import InvalidError

FIXED = ("connection", "tool")
"""What makes it another call."""
Pins = Mapping[Path, str]
"""Fields of a call that a file holds to a value, each with the line that says so."""


@dataclass(frozen=True, slots=True)
class Held:
    """A field that nobody edits: its name, what stands in it, and why."""

    name: str
    value: object
    why: str


def held(call: Mapping[str, object], pins: Pins) -> list[Held]:
    """What stays as it is."""
    fixed = [Held(name, call[name], "what the run wrote to") for name in FIXED if name in call]
    return fixed + [
        Held(shown_path(path), value_at(call, path), f"pinned by {line}")
        for path, line in _there(call, pins).items()
    ]


def free(call: Mapping[str, object], pins: Pins) -> dict[str, object]:
    """The rest, to be edited."""
    rest = copy.deepcopy({name: value for name, value in call.items() if name not in FIXED})
    for path in _there(call, pins):
        parent = value_at(rest, path[:-1])
        if isinstance(parent, dict):
            cast("dict[str, object]", parent).pop(path[-1], None)
    return rest


def joined(
    call: Mapping[str, object], pins: Pins, given: Mapping[str, object]
) -> dict[str, object]:
    """The call whose free part is `given`. Raises InvalidError (`field_held`) where that says
    something of what stays as it is."""
    for name in FIXED:
        if name in given:
            raise _refused(name, "what the run wrote to")
    whole: dict[str, object] = {name: call[name] for name in FIXED if name in call}
    whole |= copy.deepcopy(dict(given))
    for path, line in _there(call, pins).items():
        if value_at(whole, path) is not MISSING:
            raise _refused(shown_path(path), f"pinned by {line}")
        _put(whole, path, value_at(call, path))
    return whole


def _there(call: Mapping[str, object], pins: Pins) -> dict[Path, str]:
    """The pins of fields that are there, and in an object that can be taken apart."""
    return {
        path: line
        for path, line in pins.items()
        if value_at(call, path) is not MISSING and _in_objects(call, path)
    }


def _in_objects(call: Mapping[str, object], path: Path) -> bool:
    return all(isinstance(value_at(call, path[:end]), Mapping) for end in range(len(path)))


def _put(whole: dict[str, object], path: Path, value: object) -> None:
    here = whole
    for key in path[:-1]:
        inner = here.setdefault(key, {})
        if not isinstance(inner, dict):
            raise _refused(shown_path(path), f"in {key}, which is no object any more")
        here = cast("dict[str, object]", inner)
    here[path[-1]] = value


def _refused(name: str, why: str) -> InvalidError:
    return InvalidError(
        f"{name} stays as it is: it is {why}",
        code="field_held",
        hint="deny the write, and start the run again with another one",
    )
