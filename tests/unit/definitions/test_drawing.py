"""Graphs as Mermaid: every node and edge, and no text that could draw more."""

import json
from typing import Any

from amodal_rt.definitions.drawing import mermaid
from amodal_rt.definitions.graph import parse_workflow


def drawn(*nodes: dict[str, Any]) -> list[str]:
    text = json.dumps({"kind": "WorkflowGraph", "nodes": nodes}).encode()
    workflow, problems = parse_workflow(text, file="workflows/x.json", scripts={})
    assert workflow is not None, problems
    return mermaid(workflow).splitlines()


def value(id: str, **keys: Any) -> dict[str, Any]:
    return {"kind": "transform", "id": id, "value": 1, **keys}


def test_nodes_have_the_shape_of_their_kind_and_edges_their_word() -> None:
    found = drawn(
        {"kind": "trigger", "id": "start", "on_success": "fork"},
        {"kind": "condition", "id": "fork", "expression": "1", "on_true": "a", "on_false": "b"},
        value("a", on_error="b"),
        {"kind": "parallel", "id": "b", "branches": ["c", "d"]},
        value("c"),
        value("d", title="The last"),
    )
    assert found == [
        "flowchart TD",
        '    n0(["start<br/>trigger"])',
        '    n1{"fork<br/>condition"}',
        '    n2["a<br/>transform"]',
        '    n3[["b<br/>parallel"]]',
        '    n4["c<br/>transform"]',
        '    n5["The last<br/>transform"]',
        "    n0 --> n1",
        "    n1 -- yes --> n2",
        "    n1 -- no --> n3",
        "    n2 -. error .-> n3",
        "    n3 ==> n4",
        "    n3 ==> n5",
    ]


def test_a_title_can_neither_end_its_label_nor_add_a_line() -> None:
    hostile = '"]\n    n0 --> n9\nclick n0 "javascript:alert(1)" <img src=x> `#quot;` ' + "x" * 99
    found = drawn({"kind": "trigger", "id": "start", "title": hostile})
    assert len(found) == 2
    label = found[1].removeprefix('    n0(["').removesuffix('<br/>trigger"])')
    assert not set(label) & set('"<>`')
    assert label.startswith("#quot;] n0 --#gt; n9 click")
    assert len(found[1]) < 400
