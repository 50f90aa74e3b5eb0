"""`amodal-rt workflow run`: a graph by itself, with no daemon, no model and nothing left of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from daemon_child import automation, write

from amodal_rt.cli import app

START = {"kind": "trigger", "id": "start", "on_success": "next"}


def graph(root: Path, **node: Any) -> Path:
    nodes = [START, {"id": "next", **node}]
    return write(root, "workflows/flow.json", {"kind": "WorkflowGraph", "nodes": nodes})


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / "workspace"
    # Of the workspace itself nothing may be joined, told or started.
    write(folder, "amodal.json", {"name": "shop", "database": "postgresql://nobody@127.0.0.1:1/x"})
    automation(folder, "other", schedule={"every": "1m"})
    return folder


def run(path: Path, *words: str) -> int:
    return app.run(["workflow", "run", str(path), *words], program="amodal-rt")


def test_a_graph_runs_without_a_daemon_and_leaves_nothing(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = graph(root, kind="script", script="tidy")
    write(root, "scripts/tidy.py", "print('tidied')\n{'name': payload['name'].upper()}\n")
    before = sorted(root.rglob("*"))

    assert run(path, "--payload", '{"name": "ada"}', "--json") == 0

    found = json.loads(capsys.readouterr().out)
    assert found["result"]["payload"] == {"name": "ADA"}
    assert found["result"]["output"] == ["tidied"]
    assert (found["automation"], found["model"]) == ("flow", None)
    assert sorted(root.rglob("*")) == before


def test_its_steps_and_its_result_are_shown(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(graph(root, kind="transform", value="done")) == 0

    shown = capsys.readouterr().out
    assert "node.finished start → next" in shown
    assert "\ndone\ncompleted in" in shown


def test_a_node_sees_the_variables_that_are_named(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, ".env", "REGION=north-of-here\n")
    condition = {"env.REGION": {"exists": True}}
    path = graph(root, kind="condition", filter=condition)

    assert run(path, "--env", "REGION", "--json") == 0
    assert json.loads(capsys.readouterr().out)["result"]["payload"] is True
    assert run(path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["result"]["payload"] is False


def test_it_writes_only_where_it_is_told_to(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, "connections/crm/spec.json", {"protocol": "rest", "baseUrl": "http://127.0.0.1:1"})
    path = graph(root, kind="request", connection="crm", method="POST", endpoint="/deals")

    assert run(path, "--json") == 1
    said = capsys.readouterr()
    assert "refused" in json.loads(said.out)["error"]
    assert said.err == "here --write lets its nodes write\n"
    assert run(path, "--write", "--json") == 1
    said = capsys.readouterr()
    assert "refused:" not in json.loads(said.out)["error"]
    assert said.err == ""


def test_what_would_wait_for_days_ends_there(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(graph(root, kind="approval", message="Delete it?")) == 6

    found = capsys.readouterr()
    assert "Delete it?" in found.out
    assert "it would wait now" in found.err


def test_what_could_not_run_is_said_and_does_not_begin(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = graph(root, kind="store", store="none", action="query")

    assert run(path) == 3
    assert "workflows/flow.json" in capsys.readouterr().err
    assert run(root / "workflows/gone.json") == 4
    assert run(path, "--payload", "{") == 2
