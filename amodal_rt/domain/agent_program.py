"""An agent whose loop is a program: what starts it, and where in its output the result stands."""

from dataclasses import dataclass, field
from enum import StrEnum

from amodal_rt.domain.filter import Path


class Printed(StrEnum):
    """What a program prints: its result, one JSON document, or one on each line."""

    TEXT = "text"
    JSON = "json"
    LINES = "jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultPlaces:
    """Places in what it prints; None and empty for what it does not tell. Of several places for
    tokens the sum counts. On lines, the last text counts, and the numbers of all lines together.
    `failed` stands where the program says that it failed: anything there but false and null.
    """

    printed: Printed = Printed.TEXT
    text: Path | None = None
    failed: Path | None = None
    model: Path | None = None
    input_tokens: tuple[Path, ...] = ()
    output_tokens: tuple[Path, ...] = ()
    cost_usd: Path | None = None
    turns: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentProgram:
    """A program and its arguments. The prompt is on its standard input."""

    argv: tuple[str, ...]
    result: ResultPlaces = field(default_factory=ResultPlaces)
