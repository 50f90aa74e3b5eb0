"""One file of `workflows/` → a workflow."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Annotated, Literal, cast

from pydantic import Field

from amodal_rt.definitions.document import Document, Lines, Loc, in_file_order
from amodal_rt.definitions.graph_nodes import KINDS, SHAPES, NodeId, NodeShape, kind_of
from amodal_rt.definitions.graph_ways import Ways
from amodal_rt.definitions.graph_works import Works
from amodal_rt.definitions.judging import judge, judge_part
from amodal_rt.definitions.script import LONGEST, script_fault
from amodal_rt.definitions.shapes import FileShape, Filled, PlainText, SchemaKey, described
from amodal_rt.definitions.source import SourceError, read_json
from amodal_rt.definitions.words import shown, suggestion, type_name
from amodal_rt.domain.automation import STEM
from amodal_rt.domain.problem import Problem
from amodal_rt.domain.workflow import Node, Script, Workflow

MOST_NODES = 5_000

Result = tuple[Workflow | None, tuple[Problem, ...]]

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class ScriptShape(FileShape):
    """A script that stands in the file of its graph."""

    kind: Annotated[Literal["Script"], described("Always `Script`.")] = "Script"
    id: Annotated[NodeId, described("What nodes call it by.")]
    script: Annotated[str, Field(max_length=LONGEST, description="Python for the sandbox.")]


class GraphShape(FileShape):
    """A `WorkflowGraph`: nodes, and the edges that each of them holds."""

    schema_: SchemaKey = None
    kind: Annotated[Literal["WorkflowGraph"], described("Always `WorkflowGraph`.")]
    version: Annotated[Literal[1], described("Always 1.")] = 1
    name: Annotated[Filled | None, described("Display name.")] = None
    description: Annotated[PlainText | None, described("What it is for, for people.")] = None
    start_node: Annotated[
        NodeId | None, described("Where every run begins; default the only trigger node.")
    ] = None
    nodes: Annotated[
        list[object],
        Field(min_length=1, max_length=MOST_NODES, description="The steps, in any order."),
    ]
    data: Annotated[
        list[ScriptShape] | None, Field(max_length=MOST_NODES, description="Its scripts.")
    ] = None


def parse_workflow(text: bytes, *, file: str, scripts: Mapping[str, Script]) -> Result:
    """The workflow, or None with at least one error; `scripts` are those of `scripts/`."""
    try:
        document = read_json(text, file)
    except SourceError as error:
        return None, (error.problem,)
    return read_workflow(document, scripts=scripts)


def read_workflow(document: Document, *, scripts: Mapping[str, Script]) -> Result:
    """The same of a document that was read."""
    shape, problems = judge(document, GraphShape)
    if shape is None:
        return None, problems
    return _Reading(document, scripts).workflow(shape)


def reread_workflow(document: str, *, file: str, name: str | None = None) -> Workflow | None:
    """The workflow that `Workflow.document` once came from; None where this release does not
    understand it. Lines are unknown, but of scripts that had files of their own."""
    try:
        value = cast("object", json.loads(document))
    except ValueError:
        return None
    fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    graph, sources = fields.get("graph"), fields.get("scripts")
    if not isinstance(graph, dict) or not isinstance(sources, dict):
        return None
    scripts = {
        each: Script(name=each, source=str(source), file=f"scripts/{each}.py")
        for each, source in cast("dict[str, object]", sources).items()
    }
    whole = Document(file, cast("dict[str, object]", graph), dict[str, tuple[int, int]])
    shape, _ = judge(whole, GraphShape)
    if shape is None:
        return None
    return _Reading(whole, scripts, name).workflow(shape)[0]


class _Reading:
    """Turns one shape into a workflow; collects problems."""

    def __init__(
        self, document: Document, scripts: Mapping[str, Script], name: str | None = None
    ) -> None:
        self._name = name or PurePosixPath(document.file).stem
        self._document = document
        self._scripts = dict(scripts)
        self._problems: list[Problem] = []

    def workflow(self, shape: GraphShape) -> Result:
        name = self._name
        if not STEM.fullmatch(name):
            hint = "rename it: lower-case letters, digits, - and _; 64 characters at most"
            self._complain("bad_name", f"{shown(name)} cannot name a workflow", hint=hint)
        self._take_scripts(shape.data or ())
        places = self._nodes(shape.nodes)
        nodes = {node.id: node for node, _ in places.values()}
        start = None
        if not self._problems:
            ways = Ways(nodes, {node.id: loc for node, loc in places.values()}, self._complain)
            start = ways.start(shape.start_node)
            if start is not None:
                ways.check(start)
        if self._problems or start is None:
            return None, in_file_order(self._problems)
        document = _ENCODER.encode(
            {
                "graph": self._document.value,
                "scripts": {each: script.source for each, script in sorted(self._used.items())},
            }
        )
        return Workflow(
            name=name,
            title=shape.name,
            start=start,
            nodes=nodes,
            hash=hashlib.sha256(document.encode()).hexdigest(),
            document=document,
            file=self._document.file,
            lines=Lines(self._document),
        ), ()

    def _take_scripts(self, given: Iterable[ScriptShape]) -> None:
        own: dict[str, int] = {}
        for number, each in enumerate(given):
            loc = ("data", number, "script")
            if each.id in own:
                message = f"data[{own[each.id]}] and data[{number}] are both called {each.id}"
                self._complain("duplicate_id", message, ("data", number, "id"))
            own[each.id] = number
            line, _ = self._document.place(loc)
            fault = script_fault(each.script)
            if fault is not None:
                message = f"script {shown(each.id)}, line {fault[0]}: not Python: {fault[2]}"
                self._complain("bad_script", message, loc)
            self._scripts[each.id] = Script(
                name=each.id, source=each.script, file=self._document.file, first_line=line or 1
            )

    def _nodes(self, given: list[object]) -> dict[int, tuple[Node, Loc]]:
        works = Works(self._document.file, self._scripts, self._complain)
        found: dict[int, tuple[Node, Loc]] = {}
        first: dict[str, int] = {}
        for number, each in enumerate(given):
            at = ("nodes", number)
            shape = self._shape(each, at)
            if shape is None:
                continue
            if shape.id in first:
                message = f"nodes[{first[shape.id]}] and nodes[{number}] are both called {shape.id}"
                self._complain("duplicate_id", message, (*at, "id"))
            first.setdefault(shape.id, number)
            node = works.node(shape, at)
            if node is not None:
                found[number] = (node, at)
        self._used = works.used
        return found

    def _shape(self, value: object, at: Loc) -> NodeShape | None:
        if not isinstance(value, dict):
            message = f"nodes[{at[1]}] must be an object, not {type_name(value)}"
            self._complain("wrong_type", message, at)
            return None
        fields = cast("dict[str, object]", value)
        word = fields.get("kind")
        kind = kind_of(word) if isinstance(word, str) else None
        who = f"node {shown(fields['id'])}: " if isinstance(fields.get("id"), str) else ""
        if kind is None:
            if "kind" not in fields:
                self._complain("missing_key", f"{who}kind is missing", at, hint=", ".join(KINDS))
            else:
                hint = suggestion(str(word), KINDS) or f"one of {', '.join(KINDS)}"
                message = f"{who}{shown(word)} is no kind of node"
                self._complain("unknown_kind", message, (*at, "kind"), hint=hint)
            return None
        shape, problems = judge_part(self._document, SHAPES[kind], fields, at)
        self._problems += [replace(each, message=f"{who}{each.message}") for each in problems]
        return shape

    def _complain(self, code: str, message: str, loc: Loc = (), *, hint: str | None = None) -> None:
        self._problems.append(self._document.problem(code, message, loc, hint=hint))
