"""What was counted: each test leaves one part, the parts together make RELIABILITY.json.

A part is `{"layer", "test", "counts", "notes"}`. Counts of one name add up; of notes of one
name the largest number (else the last text in order) stays, so that the order in which parts
were written never shows.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = "AMODAL_RT_FIGURES"
"""The environment's word for the folder of the parts; set for all processes of one run."""

Note = int | float | str


@dataclass
class Figures:
    """The figures of one test. `add` counts what happened, `note` says a measure or a limit."""

    layer: str
    test: str
    counts: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Note] = field(default_factory=dict)

    def add(self, name: str, count: int = 1) -> None:
        """Add `count`; 0 makes the figure appear, which is how "0 lost" is said."""
        self.counts[name] = self.counts.get(name, 0) + count

    def note(self, name: str, value: Note) -> None:
        """Say a value that does not add up: a latency, a version."""
        self.notes[name] = _worse(self.notes.get(name), value)

    def save(self) -> None:
        """Write the part, in place of an earlier one of the same test."""
        folder = os.environ.get(FOLDER)
        if not folder or not (self.counts or self.notes):
            return
        part = {
            "layer": self.layer, "test": self.test, "counts": self.counts, "notes": self.notes
        }  # fmt: skip
        name = hashlib.sha256(self.test.encode()).hexdigest()[:16]
        path = Path(folder) / f"{self.layer}-{name}.json"
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(part, sort_keys=True), encoding="utf-8")
        temporary.replace(path)


def read_parts(folder: Path) -> list[dict[str, Any]]:
    """All parts of a run, in an order that does not depend on who wrote first."""
    parts = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    return sorted(parts, key=lambda part: (part["layer"], part["test"]))


def by_layer(parts: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Note]]:
    """`{layer: {figure: value}}`, both sorted."""
    merged: dict[str, dict[str, Note]] = {}
    for part in parts:
        layer = merged.setdefault(part["layer"], {})
        for name, count in part["counts"].items():
            said = layer.get(name, 0)
            layer[name] = count + (said if isinstance(said, int) else 0)
        for name, value in part["notes"].items():
            layer[name] = _worse(layer.get(name), value)
    return {layer: dict(sorted(merged[layer].items())) for layer in sorted(merged)}


def totals(parts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Every count, added up over all layers."""
    merged: dict[str, int] = {}
    for part in parts:
        for name, count in part["counts"].items():
            merged[name] = merged.get(name, 0) + count
    return dict(sorted(merged.items()))


def _worse(one: Note | None, other: Note) -> Note:
    if one is None:
        return other
    if isinstance(one, str) or isinstance(other, str):
        return max(str(one), str(other))
    return max(one, other)
