"""The workflow that an automation names, or writes out in its own file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from amodal_rt.definitions.document import Document
from amodal_rt.definitions.graph import read_workflow, reread_workflow
from amodal_rt.definitions.words import WRONG_WHERE, shown, spellings, suggestion
from amodal_rt.domain.automation import STEM, WorkflowRun
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workflow import Script, Workflow

KEYS = spellings("workflow")
"""Spellings of the key that names it."""

KEPT = "_workflow"
"""Where a definition's document keeps the graph, those that it runs in turn, and their scripts as
they were: a version must not change behind its hash. No file may hold this key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflows:
    """What stands in `workflows/` and `scripts/`. `broken` have files and never had good ones."""

    named: Mapping[str, Workflow] = field(default_factory=dict[str, Workflow])
    broken: frozenset[str] = frozenset()
    scripts: Mapping[str, Script] = field(default_factory=dict[str, Script])


def key_of(document: Document) -> str | None:
    """The key that says which workflow runs, None where none does."""
    return next((key for key in KEYS if document.value.get(key) is not None), None)


def find_workflow(
    document: Document, key: str, workflows: Workflows
) -> tuple[Workflow | None, tuple[Problem, ...]]:
    """The workflow at `key`. None without a problem for what its shape will complain of."""
    value = document.value[key]
    if isinstance(value, dict):
        graph = cast("dict[str, object]", value)
        return read_workflow(_part(document, key, graph), scripts=workflows.scripts)
    if not isinstance(value, str) or not STEM.fullmatch(value):
        return None, ()
    found = workflows.named.get(value)
    if found is not None:
        return found, ()
    if value in workflows.broken:
        message = f"workflows/{value}.json is invalid"
        return None, (document.problem("broken_workflow", message, (key,), hint=WRONG_WHERE),)
    hint = suggestion(value, workflows.named) or f"add workflows/{value}.json"
    message = f"there is no workflow {shown(value)}"
    return None, (document.problem("unknown_workflow", message, (key,), hint=hint),)


def with_others(workflow: Workflow, named: Mapping[str, Workflow]) -> WorkflowRun:
    """The workflow with all that it runs in turn, as far as they are there."""
    found: dict[str, Workflow] = {}
    waiting = list(workflow.calls)
    while waiting:
        name = waiting.pop()
        if name not in found and name in named:
            found[name] = named[name]
            waiting += named[name].calls
    return WorkflowRun(workflow=workflow, others=found)


def kept(value: Mapping[str, object], run: WorkflowRun) -> dict[str, object]:
    """The automation's value with its workflows as they are now."""
    rest = {key: each for key, each in value.items() if key not in KEYS}
    origin: dict[str, object] = _origin(run.workflow)
    if run.others:
        origin["others"] = {name: _origin(each) for name, each in run.others.items()}
    return {**rest, "workflow": run.workflow.name, KEPT: origin}


def take_kept(value: dict[str, object]) -> tuple[dict[str, object], WorkflowRun | None]:
    """The inverse of `kept`, as far as this release understands what was kept."""
    origin = value.get(KEPT)
    rest = {key: each for key, each in value.items() if key != KEPT}
    workflow = _reread(origin, str(rest.get("workflow")))
    if workflow is None:
        return rest, None
    told = cast("dict[str, object]", origin).get("others", {})
    others: dict[str, Workflow] = {}
    for name, each in cast("dict[str, object]", told if isinstance(told, dict) else {}).items():
        found = _reread(each, name)
        if found is None:
            return rest, None
        others[name] = found
    return rest, WorkflowRun(workflow=workflow, others=others)


def _origin(workflow: Workflow) -> dict[str, object]:
    return {"file": workflow.file, "document": workflow.document}


def _reread(origin: object, name: str) -> Workflow | None:
    if not isinstance(origin, dict):
        return None
    fields = cast("dict[str, object]", origin)
    file, document = fields.get("file"), fields.get("document")
    if not isinstance(file, str) or not isinstance(document, str):
        return None
    return reread_workflow(document, file=file, name=name)


def _part(document: Document, key: str, value: dict[str, object]) -> Document:
    """The graph as a document of its own, whose places are those of the whole."""
    prefix = f"/{key}"

    def places() -> Mapping[str, tuple[int, int]]:
        found = document.places
        cut = len(prefix)
        return {each[cut:]: at for each, at in found.items() if each.startswith(prefix)}

    return Document(document.file, value, places)
