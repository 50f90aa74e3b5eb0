"""The conditions of one type of event, found by a value that they ask for.

A thousand automations may wait for one type, each for another repository: what an event holds
there leaves few of them to be judged.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.filter import All, Filter, Path, Rule, Scalar, Test, value_at
from amodal_rt.domain.params import ParamTest
from amodal_rt.domain.trigger import EventCondition

_FEW = 8
"""So many conditions are judged faster than they are looked up."""
_Key = tuple[bool, object]


@dataclass(frozen=True, slots=True)
class Watch:
    """One condition of one automation. `place` is where it stands among all of them."""

    place: int
    definition: Definition
    condition: EventCondition


@dataclass(frozen=True, slots=True)
class _Asked:
    """Where a condition can only hold if one of certain values stands there. Of a list, `params`
    look at each element."""

    path: Path
    by_params: bool


class Waiting:
    """Conditions in the order of automations and files."""

    def __init__(self, watches: Iterable[Watch]) -> None:
        self.all = tuple(sorted(watches, key=lambda each: each.place))
        self._rest: list[Watch] = []
        self._by: dict[_Asked, dict[_Key, list[Watch]]] = {}
        if len(self.all) > _FEW:
            for watch in self.all:
                self._put(watch)

    def candidates(self, data: object) -> Sequence[Watch]:
        """At least those whose `params` and `filter` hold for the data, each once, in order."""
        if not self._by:
            return self.all
        found = list(self._rest)
        for asked, table in self._by.items():
            for key in _keys_in(data, asked):
                found += table.get(key, ())
        found.sort(key=lambda each: each.place)
        return found

    def _put(self, watch: Watch) -> None:
        needed = _needed(watch.condition)
        if needed is None:
            self._rest.append(watch)
            return
        asked, values = needed
        table = self._by.setdefault(asked, {})
        for key in dict.fromkeys(map(_key, values)):
            table.setdefault(key, []).append(watch)


def _needed(condition: EventCondition) -> tuple[_Asked, Sequence[Scalar]] | None:
    for param in condition.wanted.params:
        # Of several values a list in the data may hold two: it would be found twice.
        if param.test is not ParamTest.CONTAINS and len(param.values) == 1:
            return _Asked((param.key,), by_params=True), param.values
    return _needed_by(condition.wanted.filter)


def _needed_by(filter: Filter | None) -> tuple[_Asked, Sequence[Scalar]] | None:
    match filter:
        case Rule(path, Test.EQ | Test.IN, values):
            return _Asked(path, by_params=False), values
        case All(filters):
            return next((found for each in filters if (found := _needed_by(each))), None)
        case _:
            return None


def _keys_in(data: object, asked: _Asked) -> Iterable[_Key]:
    if not asked.by_params:
        found = value_at(data, asked.path)
        return (_key(found),) if _is_scalar(found) else ()
    if not isinstance(data, Mapping):
        return ()
    # A key that is not there is no null.
    fields = cast("Mapping[str, object]", data)
    if asked.path[0] not in fields:
        return ()
    value = fields[asked.path[0]]
    elements = cast("list[object]", value) if isinstance(value, list) else [value]
    return dict.fromkeys(_key(each) for each in elements if _is_scalar(each))


def _key(value: object) -> _Key:
    """Equal for what `filter.same` calls the same: `1` and `1.0`, but not `true`."""
    return isinstance(value, bool), value


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)
