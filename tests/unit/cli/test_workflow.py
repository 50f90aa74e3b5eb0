"""`amodal-rt workflow validate` and `draw`."""

import json
from pathlib import Path
from typing import Any

import pytest

from amodal_rt.cli import app


def write(root: Path, file: str, content: object) -> Path:
    path = root / file
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def graph(**node: Any) -> dict[str, Any]:
    start = {"kind": "trigger", "id": "start", "on_success": "next"}
    return {"kind": "WorkflowGraph", "nodes": [start, {"id": "next", **node}]}


def run(*words: object) -> int:
    return app.run(["workflow", *map(str, words)], program="amodal-rt")


SCRIPT = graph(kind="script", script="tidy")


def test_a_graph_is_checked_with_the_scripts_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "workflows/clean.json", SCRIPT)
    assert run("validate", path) == 3
    assert 'there is no script "tidy"' in capsys.readouterr().out
    write(tmp_path, "scripts/tidy.py", "1")
    assert run("validate", path, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"valid": True, "problems": []}
    assert run("validate", path) == 0
    assert capsys.readouterr().out == f"{path}: valid, 2 nodes\n"


def test_a_graph_of_a_workspace_is_judged_among_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = {"kind": "store", "store": "seen", "action": "query"}
    path = write(tmp_path, "workflows/ask.json", graph(**node))
    assert run("validate", path) == 0
    write(tmp_path, "amodal.json", {})
    capsys.readouterr()
    assert run("validate", path, "--json") == 3
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["code"], problem["file"]) == ("unknown_store", "workflows/ask.json")
    write(tmp_path, "stores/seen.json", {"schema": {}})
    assert run("validate", path) == 0


@pytest.mark.parametrize("other", ["again", "back"])
def test_a_graph_that_comes_to_itself_is_no_valid_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], other: str
) -> None:
    path = write(tmp_path, "workflows/again.json", graph(kind="workflow", workflow=other))
    write(tmp_path, "workflows/back.json", graph(kind="workflow", workflow="again"))
    write(tmp_path, "amodal.json", {})

    assert run("validate", path) == 3
    assert "without end" in capsys.readouterr().out


def test_a_graph_is_drawn_whatever_its_surroundings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, "x.json", graph(kind="transform", value=1))
    assert run("draw", path) == 0
    assert capsys.readouterr().out.startswith("flowchart TD\n    n0")
    path.write_text("{")
    assert run("draw", path) == 3
    found = capsys.readouterr()
    assert found.out == ""
    assert "x.json:1" in found.err


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    assert run("validate", tmp_path / "gone.json") == 4
    assert run("draw", tmp_path / "gone.json") == 4
    large = write(tmp_path, "large.json", " " * 300_000)
    assert run("validate", large) == 3
