"""Workflows within workflows: a run keeps to the versions that it began with."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from daemon_child import write

from amodal_rt import Runtime
from amodal_rt.clock import SystemClock, iso


def inner(value: str) -> dict[str, Any]:
    return {
        "kind": "WorkflowGraph",
        "start_node": "pause",
        "nodes": [
            {"kind": "wait", "id": "pause", "until": "{{ payload.until }}", "on_success": "said"},
            {"kind": "transform", "id": "said", "value": value},
        ],
    }


async def test_a_run_that_waits_goes_on_with_the_workflow_that_it_began_with(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    root = tmp_path / "workspace"
    outer = {"kind": "workflow", "id": "start", "workflow": "inner", "payload": "{{ payload }}"}
    whole = {"kind": "WorkflowGraph", "start_node": "start", "nodes": [outer]}
    write(root, "workflows/inner.json", inner("old"))
    write(root, "automations/said.json", {"title": "Said", "workflow": whole})
    soon = iso(SystemClock().now() + timedelta(seconds=0.7))

    async with Runtime(root) as runtime:
        first = await runtime.trigger("said", payload={"until": soon})
        async for entry in runtime.follow(first):
            if entry["type"] == "node.waiting":
                break
        write(root, "workflows/inner.json", inner("new"))
        await runtime._house.ground.workspace.reload()
        second = await runtime.trigger("said", payload={"until": "2026-01-01T00:00:00Z"})
        runs: list[Any] = [await runtime.wait(each) for each in (first, second)]
        hashes = [await began(runtime, each) for each in (first, second)]

    assert [each["result"]["payload"] for each in runs] == ["old", "new"]
    assert runs[0]["definition"] != runs[1]["definition"]
    assert hashes[0] != hashes[1]
    assert {name for each in hashes for name, _ in each} == {"inner"}


async def began(runtime: Runtime, run_id: str) -> set[tuple[str, str]]:
    """Names and hashes of the workflows that a run says it began."""
    entries: list[Any] = [each async for each in runtime.follow(run_id)]
    found = [each["data"] for each in entries if each["type"] == "node.started"]
    return {(each["workflow"], each["hash"]) for each in found if "hash" in each}
