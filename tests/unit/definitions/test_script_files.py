"""Files of `scripts/`, and scripts within graphs: whether they read as Python."""

import json
import warnings

import pytest

from amodal_rt.definitions.graph import parse_workflow
from amodal_rt.definitions.script import LONGEST, parse_script
from amodal_rt.domain.workflow import Script


def test_a_script_is_its_text_under_its_stem() -> None:
    text = "\ufeffx = 1\nawait call(x)\n".encode()
    assert parse_script(text, file="scripts/tidy.py") == (
        Script(name="tidy", source="x = 1\nawait call(x)\n", file="scripts/tidy.py"),
        (),
    )


WRONG = {
    "syntax": ("x = 1\ny = = 2\n", "bad_script", 2, "not Python: invalid syntax"),
    "unclosed": ("x = (1,\n", "bad_script", 1, "'(' was never closed"),
    "indent": ("if True:\nx = 1\n", "bad_script", 2, "expected an indented block"),
    "null": ("x = 1\0", "bad_script", 1, "null bytes"),
    "deep": ("(" * 5_000 + ")" * 5_000, "bad_script", 1, "not Python: "),
    "long": ("#" * (LONGEST + 1), "too_large", None, "longer than"),
}


@pytest.mark.parametrize(("text", "code", "line", "said"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_python_is_told_with_its_line(
    text: str, code: str, line: int | None, said: str
) -> None:
    found, problems = parse_script(text.encode(), file="scripts/tidy.py")
    assert found is None
    assert [(each.code, each.line) for each in problems] == [(code, line)]
    assert said in problems[0].sentence()


def test_a_name_that_no_node_can_say_is_refused() -> None:
    found, problems = parse_script(b"1", file="scripts/Tidy Up.py")
    assert (found, problems[0].code) == (None, "bad_name")


def test_python_that_is_odd_and_no_more_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert parse_script(rb"'\d' is 1", file="scripts/tidy.py")[1] == ()


def test_scripts_and_expressions_of_a_graph_are_read_too() -> None:
    document = {
        "kind": "WorkflowGraph",
        "nodes": [
            {"kind": "trigger", "id": "start", "on_success": "fork"},
            {"kind": "condition", "id": "fork", "expression": "payload.x >", "on_true": "run"},
            {"kind": "script", "id": "run", "script": "greet"},
        ],
        "data": [{"id": "greet", "script": "x = 1\ny = = 2"}],
    }
    text = json.dumps(document, indent=1).encode()
    found, problems = parse_workflow(text, file="workflows/x.json", scripts={})
    assert found is None
    assert [(each.code, each.line, each.message) for each in problems] == [
        ("bad_script", 12, 'node "fork": the expression is not Python: invalid syntax'),
        ("bad_script", 24, 'script "greet", line 2: not Python: invalid syntax'),
    ]
