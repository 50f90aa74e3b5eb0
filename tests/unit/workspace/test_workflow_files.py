"""`workflows/` and `scripts/` in a folder that changes."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from folder_house import House

from amodal_rt.clock import SystemClock
from amodal_rt.domain.automation import Definition, WorkflowRun
from amodal_rt.domain.workflow import ScriptWork, Workflow
from amodal_rt.domain.workspace import Snapshot
from amodal_rt.storage.sqlite import SqliteLedger
from amodal_rt.workspace.check import check


def graph(**nodes: dict[str, Any]) -> dict[str, Any]:
    made = [{"id": id, **node} for id, node in nodes.items()]
    first = made[0]["id"]
    start = {"kind": "trigger", "id": "start", "on_success": first}
    return {"kind": "WorkflowGraph", "nodes": [start, *made]}


TIDY = graph(tidy={"kind": "script", "script": "tidy"})


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    (tmp_path / "workspace").mkdir()
    async with SqliteLedger(tmp_path / "ledger.db", clock=SystemClock()) as ledger:
        made = House(tmp_path / "workspace", ledger)
        made.write("scripts/tidy.py", "payload['a']")
        made.write("workflows/clean.json", TIDY)
        made.write("automations/daily.json", {"title": "Daily", "workflow": "clean"})
        yield made


def source(workflow: Workflow) -> str:
    work = workflow.nodes["tidy"].work
    assert isinstance(work, ScriptWork)
    return work.script.source


def live(snapshot: Snapshot, name: str = "daily") -> Definition:
    found = snapshot.automations[name].definition
    assert found is not None, snapshot.automations[name].problems
    return found


def runs(snapshot: Snapshot) -> str:
    work = live(snapshot).automation.work
    assert isinstance(work, WorkflowRun)
    return source(work.workflow)


def codes(snapshot: Snapshot) -> list[tuple[str, str]]:
    return [(each.file, each.code) for each in snapshot.problems]


async def test_graphs_and_their_scripts_are_read_and_kept_by_hash(house: House) -> None:
    snapshot = await house.start()
    assert snapshot.problems == ()
    clean = snapshot.workflows["clean"]
    assert source(clean) == runs(snapshot) == "payload['a']"
    kept = await house.ledger.versions_of("workflow", "clean")
    assert [(each.hash, each.document) for each in kept] == [(clean.hash, clean.document)]


async def test_a_saved_script_is_a_new_version_of_all_that_call_it(house: House) -> None:
    before = await house.start()
    house.write("automations/other.json", {"title": "Other", "prompt": "x"})
    middle = await house.look()
    house.write("scripts/tidy.py", "payload['b']")
    after = await house.look()
    assert runs(after) == source(after.workflows["clean"]) == "payload['b']"
    assert live(after).hash != live(before).hash
    assert after.automations["other"] is middle.automations["other"]
    assert len(await house.ledger.versions_of("automation", "daily")) == 2


async def test_a_saved_graph_is_a_new_version_of_the_automation(house: House) -> None:
    before = await house.start()
    house.write("workflows/clean.json", {**TIDY, "name": "Clean"})
    after = await house.look()
    assert live(after).hash != live(before).hash
    assert await house.look() is after


async def test_a_broken_file_leaves_what_ran_running_and_after_a_restart_too(
    house: House,
) -> None:
    before = await house.start()
    for file, text, code in (
        ("scripts/tidy.py", "y = = 2", "bad_script"),
        ("workflows/clean.json", "{", "bad_json"),
    ):
        house.write(file, text)
        for snapshot in (await house.look(), await house.start()):
            assert runs(snapshot) == "payload['a']"
            assert live(snapshot).hash == live(before).hash
            assert source(snapshot.workflows["clean"]) == "payload['a']"
            assert (file, code) in codes(snapshot)


async def test_a_workflow_that_appears_mends_the_automation_that_names_it(house: House) -> None:
    house.write("automations/late.json", {"title": "Late", "workflow": "late"})
    first = await house.start()
    assert first.automations["late"].definition is None
    assert first.automations["late"].problems[0].code == "unknown_workflow"
    house.write("workflows/late.json", TIDY)
    second = await house.look()
    assert live(second, "late").automation.title == "Late"


async def test_a_workflow_that_is_deleted_runs_on_for_those_that_name_it(house: House) -> None:
    await house.start()
    (house.root / "workflows/clean.json").unlink()
    snapshot = await house.look()
    state = snapshot.automations["daily"]
    assert (state.stale, [each.code for each in state.problems]) == (True, ["unknown_workflow"])
    assert runs(snapshot) == "payload['a']"
    assert snapshot.workflows == {}


async def test_what_graphs_run_without_end_is_a_problem_of_each(house: House) -> None:
    for name, other in (("ping", "pong"), ("pong", "ping"), ("solo", "solo"), ("way", "ping")):
        house.write(f"workflows/{name}.json", graph(go={"kind": "workflow", "workflow": other}))
    house.write("automations/daily.json", {"title": "Daily", "workflow": "way"})
    snapshot = await house.start()
    wrong = {each.file for each in snapshot.problems if each.code == "endless_cycle"}
    assert wrong == {"workflows/ping.json", "workflows/pong.json", "workflows/solo.json"}
    assert not snapshot.automations["daily"].stale
    assert snapshot.automations["daily"].invalid


async def test_validate_names_the_line_of_a_graph(house: House) -> None:
    node = {"kind": "request", "connection": "strip", "endpoint": "/x"}
    house.write("workflows/clean.json", json.dumps(graph(ask=node), indent=1))
    house.write("scripts/odd.py", "x = (")
    house.write("scripts/notes.txt", "not read")
    found = [(each.file, each.line, each.code) for each in check(house.root, env=False)]
    assert found == [
        ("scripts/notes.txt", None, "not_read"),
        ("scripts/odd.py", 1, "bad_script"),
        ("workflows/clean.json", 12, "unknown_connection"),
    ]


async def test_a_saved_sub_workflow_is_a_new_version_and_the_old_one_is_found_whole(
    house: House,
) -> None:
    outer = graph(go={"kind": "workflow", "workflow": "clean"})
    house.write("workflows/outer.json", outer)
    house.write("automations/daily.json", {"title": "Daily", "workflow": "outer"})
    before = live(await house.start())
    house.write("scripts/tidy.py", "payload['b']")
    after = live(await house.look())
    (house.root / "workflows/clean.json").unlink()
    gone = await house.look()
    found = await house.workspace.find_version("daily", before.hash)

    assert before.hash != after.hash
    assert found is not None
    for version, script in ((before, "a"), (found, "a"), (after, "b"), (live(gone), "b")):
        work = version.automation.work
        assert isinstance(work, WorkflowRun)
        assert source(work.others["clean"]) == f"payload['{script}']"
    assert gone.automations["daily"].stale
    assert gone.automations["daily"].blocked == ()
