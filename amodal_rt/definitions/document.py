"""A file's value, where everything in it stands, and how to speak of its parts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import cast

from amodal_rt.definitions.positions import Place, escape
from amodal_rt.definitions.words import camel, snake
from amodal_rt.domain.problem import Problem, Severity

MOST_PROBLEMS = 50
"""A file with more is no file of ours; looking for the nearest word of each takes seconds."""

TOO_MANY = "too_many_problems"

Loc = Sequence[str | int]
"""The way to a value: keys and list positions."""


class Document:
    """A parsed file. `places` is found on first need: most files have no problem.

    `defaulted` names the top-level keys (camelCase) that `amodal.json` added.
    """

    def __init__(
        self,
        file: str,
        value: dict[str, object],
        places: Callable[[], Mapping[str, Place]],
        defaulted: frozenset[str] = frozenset(),
    ) -> None:
        self.file = file
        self.value = value
        self.defaulted = defaulted
        self._find_places = places

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """JSON pointer → line and column."""
        return self._find_places()

    def written(self, loc: Loc) -> tuple[str | int, ...]:
        """As much of `loc` as the file has, each key in the file's own spelling."""
        found: list[str | int] = []
        current: object = self.value
        for part in loc:
            step = _step(current, part)
            if step is None:
                break
            found.append(step[0])
            current = step[1]
        return tuple(found)

    def name(self, loc: Loc) -> str:
        """The value at `loc` as people point at it: `delivery.targets[0].url`."""
        return name_of(self.written(loc))

    def place(self, loc: Loc) -> Place | tuple[None, None]:
        """Where `loc` stands, or the nearest of its ancestors that stands in the file."""
        parts = [escape(str(part)) for part in self.written(loc)]
        for length in range(len(parts), -1, -1):
            found = self.places.get("".join(f"/{part}" for part in parts[:length]))
            if found is not None:
                return found
        return None, None

    def problem(
        self,
        code: str,
        message: str,
        loc: Loc = (),
        *,
        hint: str | None = None,
        severity: Severity = "error",
    ) -> Problem:
        """A finding at `loc`; of a key that `amodal.json` gave, it says so and names no line."""
        line, column = self.place(loc)
        if loc and camel(str(loc[0])) in self.defaulted:
            message, line, column = f'"defaults" of amodal.json: {message}', None, None
        return Problem(
            file=self.file,
            code=code,
            message=message,
            severity=severity,
            line=line,
            column=column,
            hint=hint,
        )


class Lines(Mapping[str, int]):
    """JSON pointer → line, found when first asked for."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def __getitem__(self, pointer: str) -> int:
        return self._document.places[pointer][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document.places)

    def __len__(self) -> int:
        return len(self._document.places)


def in_file_order(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    """Sorted by line and column; what has no place comes first, what is too much goes last."""
    return tuple(
        sorted(
            problems,
            key=lambda each: (each.code == TOO_MANY, each.line or 0, each.column or 0),
        )
    )


def too_many(file: str) -> Problem:
    """Stands in the place of all problems past `MOST_PROBLEMS`."""
    return Problem(
        file=file,
        code="too_many_problems",
        message=f"more problems than the {MOST_PROBLEMS} shown",
        hint="mend these first",
    )


def name_of(loc: Loc) -> str:
    """`delivery.targets[0].url`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _step(value: object, part: str | int) -> tuple[str | int, object] | None:
    """The part as the file spells it, and what stands there; None where nothing does."""
    if isinstance(part, str) and isinstance(value, dict):
        members = cast("dict[str, object]", value)
        spellings = (part,) if part in members else (snake(part), camel(part))
        return next(((each, members[each]) for each in spellings if each in members), None)
    if isinstance(part, int) and isinstance(value, list):
        items = cast("list[object]", value)
        return (part, items[part]) if part < len(items) else None
    return None
