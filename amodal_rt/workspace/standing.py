"""What stands of a kind of file: what the file says, else the last good version."""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from amodal_rt.domain.problem import Problem
from amodal_rt.workspace.reading import Found
from amodal_rt.workspace.shelf import Shelf

T = TypeVar("T")


class Standing(Generic[T]):
    """Values by item name; a broken file leaves its last good value standing, in memory.

    `remembered` holds the values that stood when the last process ended.
    """

    def __init__(self, shelf: Shelf[T], remembered: Mapping[str, T] | None = None) -> None:
        self._shelf = shelf
        self._remembered = dict(remembered or {})
        self._unseen = False
        self.values: dict[str, T] = {}
        self.problems: tuple[Problem, ...] = ()
        self.broken: frozenset[str] = frozenset()

    def update(
        self, found: Mapping[str, Sequence[Found]], *, now: int, relink: bool = False
    ) -> None:
        """Look at the files again; `broken` is then what has files and no value. `relink` parses
        again what depends on other folders."""
        remembered, self._remembered = self._remembered, {}
        unseen, self._unseen = self._unseen, False
        if not self._shelf.update(found, now=now, relink=relink) and not unseen:
            return
        values: dict[str, T] = {}
        problems: list[Problem] = []
        for name in sorted(self._shelf.names()):
            parsed = self._shelf.get(name)
            problems += parsed.problems
            value = parsed.value
            if value is None:
                value = self.values.get(name, remembered.get(name))
            if value is not None:
                values[name] = value
        self.values, self.problems = values, tuple(problems)
        self.broken = frozenset(self._shelf.names()) - values.keys()

    def keep(self) -> None:
        """No file of it can be seen: what stood stands, after a restart too."""
        self.values = self.values or dict(self._remembered)
        self._unseen = True
