"""Risks that an automation takes by what it combines, and that a reviewer accepts by name."""

from collections.abc import Iterator

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.problem import Problem
from amodal_rt.guardrails.trifecta import TRIFECTA, Holdings


def risk_warnings(definition: Definition, holdings: Holdings) -> Iterator[Problem]:
    """A warning (`trifecta`) where an automation has all three and nobody has accepted it."""
    found = holdings.find_trifecta()
    if found is None or TRIFECTA in definition.automation.acknowledged:
        return
    lines = definition.lines
    line = lines.get("/connections") or lines.get("/writeEnabled") or lines.get("/profile")
    yield Problem(
        file=definition.file,
        code=TRIFECTA,
        message=f"private data ({found.private}), untrusted input ({found.untrusted}) and an "
        f"outward channel ({found.outward}) meet in one automation",
        line=line,
        hint=f'part them, or say that a reviewer accepts it: "acknowledge": ["{TRIFECTA}"]',
        severity="warning",
    )
