"""Triggers on the bus: the shapes of a file → which events, and which of them."""

from collections.abc import Sequence
from typing import Protocol

from amodal_rt.definitions.document import Loc
from amodal_rt.definitions.event_file import EventConditionShape
from amodal_rt.definitions.other_names import INBOUND, meant
from amodal_rt.definitions.targets import Complain
from amodal_rt.domain.filter import Filter
from amodal_rt.domain.params import Param
from amodal_rt.domain.trigger import EventCondition, EventTrigger, Wanted


class Narrowing(Protocol):
    """What says which events of a type."""

    @property
    def params(self) -> tuple[Param, ...]: ...

    @property
    def filter(self) -> Filter | None: ...

    @property
    def actors(self) -> list[str] | None: ...


class Naming(Narrowing, Protocol):
    """What says which type of event too, each in either of two words."""

    @property
    def event(self) -> str | None: ...

    @property
    def event_type(self) -> str | None: ...

    @property
    def payload_filter(self) -> Filter | None: ...


def wanted(shape: Narrowing) -> Wanted:
    """Which events, by `params`, `filter` and `actors`."""
    return _wanted(shape, shape.filter)


def said(shape: Narrowing) -> list[str]:
    """Those of `params`, `filter` and `actors` that are there."""
    found = {"params": shape.params, "filter": shape.filter, "actors": shape.actors}
    return [key for key, value in found.items() if value not in (None, ())]


class Eventing:
    """Reads conditions; complains of those that say a thing twice, or not at all."""

    def __init__(self, complain: Complain) -> None:
        self._complain = complain

    def named(self, event: str, shape: Narrowing) -> EventTrigger:
        """The shorthand: the event is the trigger, and top-level keys say which."""
        return EventTrigger(
            conditions=(EventCondition(event=meant(event), wanted=wanted(shape)),), key="0"
        )

    def any_of(self, shapes: Sequence[EventConditionShape], loc: Loc) -> EventTrigger:
        """`eventConditions`: any one of them is enough."""
        found = [self._condition(each, (*loc, place)) for place, each in enumerate(shapes)]
        return EventTrigger(conditions=tuple(each for each in found if each), key="0")

    def listed(
        self, shape: Naming, connection: str | None, loc: Loc, key: str
    ) -> EventTrigger | None:
        """One of `triggers`; of a `connection` the event is its server's own name of it."""
        condition = self._condition(shape, loc, connection)
        return EventTrigger(conditions=(condition,), key=key) if condition else None

    def _condition(
        self, shape: Naming, loc: Loc, connection: str | None = None
    ) -> EventCondition | None:
        twice = [
            (key, other)
            for key, other, both in (
                ("event", "eventType", shape.event and shape.event_type),
                ("filter", "payloadFilter", shape.filter and shape.payload_filter),
            )
            if both
        ]
        for key, other in twice:
            message = f"{key} and {other} are the same thing"
            self._complain("conflict", message, (*loc, other), hint=f"keep {key}")
        event = shape.event or shape.event_type
        if event is None:
            hint = 'add "event": "github.issues.opened", or "github.*"'
            self._complain("missing_key", "it names no event", loc, hint=hint)
            return None
        if event == INBOUND and not connection:
            message = f"{INBOUND} is a request to the automation's own URL"
            hint = 'add a trigger {"type": "webhook"}'
            self._complain("unknown_trigger", message, loc, hint=hint)
            return None
        name = f"{connection}.{event}" if connection else meant(event)
        found = _wanted(shape, shape.filter or shape.payload_filter)
        return EventCondition(event=name, wanted=found)


def _wanted(shape: Narrowing, filter: Filter | None) -> Wanted:
    actors = None if shape.actors is None else tuple(dict.fromkeys(shape.actors))
    return Wanted(params=shape.params, filter=filter, actors=actors)
