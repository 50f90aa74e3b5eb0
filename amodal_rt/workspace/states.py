"""How an automation stands after its file was read."""

from amodal_rt.domain.automation import Definition
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workspace import AutomationState
from amodal_rt.workspace.judging import Verdict


def state_of(
    name: str, definition: Definition, problems: list[Problem], verdict: Verdict
) -> AutomationState:
    """A version that runs, with what is wrong with its file now."""
    return AutomationState(
        name=name,
        file=definition.file,
        definition=definition,
        problems=(*problems, *verdict.warnings),
        blocked=(*verdict.errors, *verdict.blocked),
    )


def twin_problems(name: str, files: list[str]) -> list[Problem]:
    """That several files have one stem; nothing where there is one."""
    if len(files) == 1:
        return []
    return [
        Problem(
            file=file,
            code="duplicate_stem",
            message=f"{' and '.join(files)} are both called {name!r}",
            hint="rename or delete one of them",
        )
        for file in files
    ]
