"""One file of a graph by itself, and among the workspace around it where there is one."""

from pathlib import Path

from amodal_rt.clock import SystemClock
from amodal_rt.definitions.graph import parse_workflow
from amodal_rt.definitions.script import parse_script
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workflow import Script, Workflow
from amodal_rt.errors import InvalidError, NotFoundError
from amodal_rt.settings import process_environment
from amodal_rt.workspace.graphing import graph_errors, graph_warnings
from amodal_rt.workspace.judging import sources_of
from amodal_rt.workspace.reader import Reader
from amodal_rt.workspace.reading import LARGEST

_FOLDER = "workflows"


def read_graph(path: Path) -> tuple[Workflow | None, tuple[Problem, ...]]:
    """The graph in the file, and what is wrong with it; None where it is none.

    Scripts are those of `scripts/` beside the folder. In a workspace, what its nodes name must be
    there. Raises NotFoundError (`file_not_found`), InvalidError (`too_large`).
    """
    text = _bytes(path)
    root = path.resolve().parent.parent
    inside = path.resolve().parent.name == _FOLDER
    file = f"{_FOLDER}/{path.name}" if inside else path.name
    workflow, problems = parse_workflow(text, file=file, scripts=_scripts(root) if inside else {})
    if workflow is None or not inside or not _is_workspace(root):
        return workflow, problems
    reader = Reader(root, process_environment())
    reader.read(SystemClock().now())
    world = reader.world
    # As it stands in this file: what runs itself is known by being the same one.
    errors = graph_errors(workflow, world, {**world.workflows, workflow.name: workflow})
    found = (*errors, *graph_warnings(workflow, sources_of(world)))
    return workflow, (*problems, *found)


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
    except OSError as error:
        raise NotFoundError(f"{path}: {error.strerror}", code="file_not_found") from None
    if len(text) > LARGEST:
        raise InvalidError(f"{path} is larger than {LARGEST // 1024} KiB", code="too_large")
    return text


def _scripts(root: Path) -> dict[str, Script]:
    """Those that can be read; a node that names another says so."""
    found: dict[str, Script] = {}
    for path in sorted((root / "scripts").glob("*.py")):
        try:
            script, _ = parse_script(_bytes(path), file=f"scripts/{path.name}")
        except (NotFoundError, InvalidError, UnicodeDecodeError):
            continue
        if script is not None:
            found[script.name] = script
    return found


def _is_workspace(root: Path) -> bool:
    return (root / "automations").is_dir() or (root / "amodal.json").is_file()
