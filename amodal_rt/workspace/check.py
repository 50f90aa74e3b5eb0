"""`amodal-rt validate`: one reading of a workspace, without daemon and ledger."""

from dataclasses import replace
from pathlib import Path

from amodal_rt.clock import SystemClock
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.settings import process_environment
from amodal_rt.workspace.reader import Reader, Reading

_ENVIRONMENT = frozenset({"env_missing", "env_bad", "model_key_missing"})
"""What is wrong with this machine and not with the files."""


def check(root: Path, *, env: bool) -> list[Problem]:
    """All that is wrong in the workspace, by file and line.

    Unset variables are warnings, for where the files are reviewed is seldom where they run;
    with `env` they are errors.
    """
    snapshot = _read(root).snapshot
    problems = [
        replace(each, severity="error" if env else "warning") if each.code in _ENVIRONMENT else each
        for each in snapshot.problems
    ]
    for state in snapshot.automations.values():
        problems += state.problems
        for problem in state.blocked:
            harmless = problem.code in _ENVIRONMENT and not env
            problems.append(replace(problem, severity="warning") if harmless else problem)
    return sorted(
        dict.fromkeys(problems), key=lambda each: (each.file, each.line or 0, each.column or 0)
    )


async def read_once(root: Path) -> Snapshot:
    """The workspace as it stands now; a broken `amodal.json` counts as an empty one."""
    return _read(root).snapshot


def _read(root: Path) -> Reading:
    return Reader(root, process_environment()).read(SystemClock().now())


def read_at(root: Path) -> Snapshot:
    """The same, for who runs no loop."""
    return _read(root).snapshot
