"""Risks that an automation takes by what it combines, and that a reviewer accepts by name."""

from collections.abc import Iterator

from amodal_rt.domain.automation import CommandRun, Definition
from amodal_rt.domain.connection import Agent
from amodal_rt.domain.problem import Problem
from amodal_rt.guardrails.trifecta import TRIFECTA, Holdings, runs_program


def risk_errors(
    definition: Definition, agent: Agent | None, holdings: Holdings
) -> Iterator[Problem]:
    """An error (`tainted_program`) where the agent is a program that could send away what is
    private, and nobody has accepted it: its first run would end well, and no other, for the
    next one is told what the last one said."""
    steered = agent is not None and runs_program(definition.automation, agent)
    private, way = holdings.find_private(), holdings.find_way_out()
    accepted = TRIFECTA in definition.automation.acknowledged
    if not steered or isinstance(definition.automation.work, CommandRun) or accepted:
        return
    if private is None or way is None:
        return
    yield Problem(
        file=definition.file,
        code="tainted_program",
        message=f"its agent is a program that holds private data ({private}) and reaches {way}: "
        "what strangers wrote could make it send that away",
        line=definition.lines.get("/agent") or definition.lines.get("/profile"),
        hint=f'say that a reviewer accepts it: "acknowledge": ["{TRIFECTA}"]; or take the network '
        "or the private data from its profile",
    )


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
