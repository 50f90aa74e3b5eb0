"""An automation whose work is a graph: by name, written out, and as the ledger keeps it."""

import json
from itertools import pairwise
from typing import Any

import pytest
from definition_samples import SETTINGS, read_prompt

from amodal_rt.definitions.automation import Parsed, parse_automation, reparse
from amodal_rt.definitions.graph import parse_workflow
from amodal_rt.definitions.naming_workflows import Workflows
from amodal_rt.domain.automation import Definition, WorkflowRun
from amodal_rt.domain.workflow import Script, ScriptWork, Template, TransformWork, Workflow

FILE = "automations/sample.json"
SCRIPTS = {"tidy": Script(name="tidy", source="payload", file="scripts/tidy.py")}
GRAPH: dict[str, Any] = {
    "kind": "WorkflowGraph",
    "version": 1,
    "nodes": [
        {"kind": "trigger", "id": "start", "on_success": "tidy"},
        {"kind": "script", "id": "tidy", "script": "tidy"},
    ],
}


def graph(document: object = GRAPH, *, scripts: dict[str, Script] = SCRIPTS) -> Workflow:
    text = json.dumps(document).encode()
    found, problems = parse_workflow(text, file="workflows/clean.json", scripts=scripts)
    assert found is not None, problems
    return found


def parsed(*, workflows: Workflows | None = None, **keys: Any) -> Parsed:
    text = json.dumps({"title": "Sample", **keys}, indent=1)
    known = workflows or Workflows(named={"clean": graph()}, scripts=SCRIPTS)
    return parse_automation(
        text.encode(), file=FILE, settings=SETTINGS, read_prompt=read_prompt, workflows=known
    )


def definition(**keys: Any) -> Definition:
    found = parsed(**keys)
    assert found.definition is not None, found.problems
    return found.definition


def work_of(found: Definition) -> Workflow:
    assert isinstance(found.automation.work, WorkflowRun)
    return found.automation.work.workflow


@pytest.mark.parametrize("key", ["workflow", "config", "configId", "config_id"])
def test_a_workflow_is_named_by_each_of_its_spellings(key: str) -> None:
    keys: dict[str, Any] = {key: "clean"}
    found = parsed(**keys)
    assert found.linked
    assert found.definition is not None
    assert work_of(found.definition) == graph()


def test_a_graph_may_stand_in_the_automations_own_file() -> None:
    found = work_of(definition(workflow=GRAPH))
    assert (found.name, found.file) == ("sample", FILE)
    assert found.lines["/nodes/1/script"] == 15
    assert found.hash == graph().hash


def test_what_is_wrong_with_an_inline_graph_has_its_line_in_the_automation() -> None:
    nodes = [*GRAPH["nodes"], {"kind": "transform", "id": "lost", "value": 1}]
    problems = parsed(workflow={**GRAPH, "nodes": nodes}).problems
    assert [(each.code, each.file, each.line) for each in problems] == [
        ("unreachable_node", FILE, 17)
    ]


def test_a_prompt_needs_neither_workflows_nor_scripts() -> None:
    assert not parsed(prompt="Look.").linked


def test_the_version_holds_the_graph_and_its_scripts() -> None:
    named = {"clean": graph()}
    first = definition(workflow="clean")
    other = {"tidy": Script(name="tidy", source="payload['x']", file="scripts/tidy.py")}
    changed = Workflows(named={"clean": graph(scripts=other)})
    second = definition(workflow="clean", workflows=changed)
    same = definition(workflow="clean", workflows=Workflows(named=named))
    assert first.hash == same.hash != second.hash


@pytest.mark.parametrize("keys", [{"workflow": "clean"}, {"workflow": GRAPH}])
def test_a_version_is_read_again_as_it_was(keys: dict[str, Any]) -> None:
    first = definition(**keys)
    again = reparse(first.document, file=FILE, settings=SETTINGS).definition
    assert again is not None
    assert again.hash == first.hash
    before, after = work_of(first), work_of(again)
    assert (after.name, after.file, after.hash) == (before.name, before.file, before.hash)
    script = after.nodes["tidy"].work
    assert isinstance(script, ScriptWork)
    assert script.script == SCRIPTS["tidy"]


def test_a_version_whose_graph_is_lost_is_no_version() -> None:
    kept = json.loads(definition(workflow="clean").document)
    for wrong in (None, {}, {"file": "x", "document": "{"}, {"file": 1, "document": "{}"}):
        document = json.dumps({**kept, "_workflow": wrong})
        found = reparse(document, file=FILE, settings=SETTINGS)
        assert (found.definition, found.problems[0].code) == (None, "bad_version")


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown": ({"workflow": "claen"}, "unknown_workflow", 'did you mean "clean"?'),
    "nowhere near": ({"workflow": "zzz"}, "unknown_workflow", "add workflows/zzz.json"),
    "broken": (
        {"workflow": "bad"},
        "broken_workflow",
        "bad.json is invalid (amodal-rt validate says",
    ),
    "a file's name": ({"workflow": "clean.json"}, "wrong_value", "the stem of a file"),
    "a list": ({"workflow": ["clean"]}, "wrong_type", "the name of a workflow, or a graph"),
    "twice": ({"workflow": "clean", "prompt": "x"}, "one_of", "prompt and workflow"),
    "both words": ({"workflow": "clean", "config": "clean"}, "one_of", "workflow and config"),
    "kept by hand": ({"workflow": "clean", "_workflow": {}}, "unknown_key", "_workflow"),
    "no graph": ({"workflow": {"nodes": []}}, "missing_key", "kind is missing"),
}


@pytest.mark.parametrize(("keys", "code", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_workflow_is_told_with_its_line(keys: dict[str, Any], code: str, said: str) -> None:
    known = Workflows(named={"clean": graph()}, broken=frozenset({"bad"}), scripts=SCRIPTS)
    found = parsed(workflows=known, **keys)
    assert found.definition is None
    assert found.problems[0].code == code
    assert said in found.problems[0].sentence()
    assert found.problems[0].line is not None


def test_an_automation_without_a_kept_graph_is_told_from_one_with() -> None:
    """What no key names is no work, whatever a document holds beside it."""
    document = json.dumps({"title": "x", "prompt": "y", "_workflow": {"file": "x"}})
    found = reparse(document, file=FILE, settings=SETTINGS)
    assert found.definition is not None
    assert not isinstance(found.definition.automation.work, WorkflowRun)


def calling(name: str, *others: str, value: object = 1) -> Workflow:
    """A graph that runs these in turn."""
    nodes: list[dict[str, Any]] = [
        {"kind": "workflow", "id": each, "workflow": each} for each in others
    ]
    nodes.append({"kind": "transform", "id": "end", "value": value})
    for before, after in pairwise(nodes):
        before["on_success"] = after["id"]
    document = {"kind": "WorkflowGraph", "start_node": nodes[0]["id"], "nodes": nodes}
    text = json.dumps(document).encode()
    found, problems = parse_workflow(text, file=f"workflows/{name}.json", scripts={})
    assert found is not None, problems
    return found


def test_a_version_holds_what_its_workflow_runs_in_turn() -> None:
    def version(value: object) -> Definition:
        named = {
            "outer": calling("outer", "middle", "gone"),
            "middle": calling("middle", "inner"),
            "inner": calling("inner", value=value),
            "beside": calling("beside", value=value),
        }
        return definition(workflow="outer", workflows=Workflows(named=named))

    first, same, changed = version("old"), version("old"), version("new")
    again = reparse(first.document, file=FILE, settings=SETTINGS).definition

    assert first.hash == same.hash != changed.hash
    assert again is not None
    assert again.hash == first.hash
    work, before = again.automation.work, first.automation.work
    assert isinstance(work, WorkflowRun)
    assert isinstance(before, WorkflowRun)
    assert work.others.keys() == {"middle", "inner"}
    assert work.others["inner"].nodes["end"].work == TransformWork(value=Template("old"))
    assert {name: each.hash for name, each in work.others.items()} == {
        name: each.hash for name, each in before.others.items()
    }


def test_a_version_that_lost_one_of_its_workflows_is_no_version() -> None:
    named = {"outer": calling("outer", "inner"), "inner": calling("inner")}
    kept = json.loads(definition(workflow="outer", workflows=Workflows(named=named)).document)
    kept["_workflow"]["others"]["inner"]["document"] = "{"

    found = reparse(json.dumps(kept), file=FILE, settings=SETTINGS)

    assert (found.definition, found.problems[0].code) == (None, "bad_version")


def test_the_variables_of_a_workflow_are_secrets_of_its_automation() -> None:
    found = definition(workflow="clean", env=["REGION", "TOKEN", "REGION"])
    alone = definition(workflow="clean", env="REGION")

    assert found.automation.env == ("REGION", "TOKEN")
    assert found.secrets == ("REGION", "TOKEN")
    assert alone.automation.env == ("REGION",)
    assert definition(workflow="clean").automation.env == ()


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"workflow": "clean", "env": ["env:REGION"]}, "wrong_value"),
        ({"workflow": "clean", "env": ["A B"]}, "wrong_value"),
        ({"workflow": "clean", "env": ["AMODAL_RT_TOKEN"]}, "wrong_value"),
        ({"workflow": "clean", "env": ["amodal_rt_webhook_key"]}, "wrong_value"),
        ({"workflow": "clean", "env": {"REGION": "eu"}}, "wrong_type"),
        ({"prompt": "x", "env": ["REGION"]}, "conflict"),
    ],
)
def test_what_is_no_variable_or_for_no_workflow_is_refused(keys: dict[str, Any], code: str) -> None:
    found = parsed(**keys)

    assert found.definition is None
    assert [each.code for each in found.problems] == [code]
