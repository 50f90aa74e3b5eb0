"""One line a figure: what was measured, against what, and whether the aim was met."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`value` in `unit`; `baseline` in the same unit where there is one; `aim` compares
    `judged`, which is the value, or its ratio to the baseline."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    baseline_name: str = ""
    aim: str | None = None
    at_most: float | None = None
    at_least: float | None = None
    of_ratio: bool = False

    @property
    def ratio(self) -> float | None:
        """Value over baseline."""
        return self.value / self.baseline if self.baseline else None

    @property
    def met(self) -> bool | None:
        """Whether the aim was reached; None without one."""
        judged = self.ratio if self.of_ratio else self.value
        if judged is None or (self.at_most is None and self.at_least is None):
            return None
        above = self.at_least is None or judged >= self.at_least
        return above and (self.at_most is None or judged <= self.at_most)

    def line(self) -> str:
        """For people."""
        parts = [f"{self.name:<58} {self.value:>10.1f} {self.unit:<6}"]
        if self.ratio is not None:
            parts.append(f"{self.ratio:>6.2f} × {self.baseline_name} ({self.baseline:.1f})")
        if self.aim:
            parts.append(f"aim {self.aim}: {'met' if self.met else 'MISSED'}")
        return "  ".join(parts)

    def document(self) -> dict[str, object]:
        """For machines."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}
