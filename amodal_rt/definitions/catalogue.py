"""Every type of event that is known without a workspace."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, cast

from amodal_rt.definitions.other_names import INBOUND, OTHER_NAMES, example
from amodal_rt.domain.event_type import OF_THE_RUNTIME, EventOrigin, EventType
from amodal_rt.domain.trigger import SignatureScheme

_NOBODY = frozenset({"custom", "hmac-sha256", "standard-webhooks"})
PROVIDERS = tuple(each.value for each in SignatureScheme if each.value not in _NOBODY)
"""The first words of what providers send."""
OWN_FAMILIES: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(OF_THE_RUNTIME, "this runtime")
    | {each: f"the provider {each}" for each in PROVIDERS}
)
"""By first word, who alone makes events of it: nobody else may pass for them."""


class _Catalogue(Mapping[str, EventType]):
    """The types by name. The file of a source is read when a name of it is first asked for, so
    that a start and a reload pay nothing."""

    def __getitem__(self, name: str) -> EventType:
        if name in OTHER_NAMES:
            return _other(name)
        family = name.partition(".")[0]
        if family in OF_THE_RUNTIME:
            return _load("runtime")[name]
        return _load(family if family in PROVIDERS else "platform")[name]

    def __iter__(self) -> Iterator[str]:
        for source in ("runtime", "platform", *PROVIDERS):
            yield from _load(source)
        yield from OTHER_NAMES

    def __len__(self) -> int:
        return sum(1 for _ in self)


BUILT_IN: Mapping[str, EventType] = _Catalogue()
"""The runtime's own types, those of every provider with a preset, and the documented platform's."""


def _other(name: str) -> EventType:
    """What is known of the events of another name, under this one."""
    here = OTHER_NAMES[name]
    found = BUILT_IN[example(name)]
    what = "as a trigger it is webhook" if name == INBOUND else "a trigger waits for that"
    return replace(
        found,
        name=name,
        origin=EventOrigin.ALIAS,
        source="platform",
        description=f"Another platform's name for {here}: {what}.",
        alias_of=here,
    )


@cache
def _load(source: str) -> Mapping[str, EventType]:
    text = files("amodal_rt.definitions.event_types").joinpath(f"{source}.json").read_bytes()
    content = cast("dict[str, Any]", json.loads(text))
    origin, parts = EventOrigin(content["origin"]), content.get("parts", {})
    return {
        name: _type(name, source, origin, each, parts) for name, each in content["types"].items()
    }


def _type(
    name: str, source: str, origin: EventOrigin, short: dict[str, Any], parts: dict[str, Any]
) -> EventType:
    """The type that the file writes shortly: `uses` says where in its data stands a part that
    several types share, and `sample` what is different from the samples of these."""
    properties: dict[str, Any] = {}
    sample: dict[str, Any] = {}
    for path, part in short.get("uses", {}).items():
        *outer, last = path.split(".")
        inner, example = properties, sample
        for word in outer:
            inner = inner.setdefault(word, {"type": "object", "properties": {}})["properties"]
            example = example.setdefault(word, {})
        inner[last], example[last] = parts[part]["schema"], parts[part]["sample"]
    made = {
        "type": "object",
        "properties": _merged(properties, short.get("properties", {})),
        "required": short.get("required", []),
    }
    return EventType(
        name=name,
        origin=origin,
        source=source,
        description=short["description"],
        schema=short.get("schema", made),
        sample=_merged(sample, short["sample"]),
    )


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """`other` over `one`, object by object; neither is changed."""
    both = dict(one)
    for key, value in other.items():
        under = both.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            value = _merged(cast("dict[str, Any]", under), cast("dict[str, Any]", value))
        both[key] = value
    return both
